import { formatBytes } from '../src/util/byte-size.ts'
import type { ImageClient } from '../test/fixtures/client.ts'
import { buildImage, hasStaticBusybox, type Image } from '../test/fixtures/image.ts'
import type { DemoOrigin } from './demo-origin.ts'

const MIB = 1024 * 1024
const LAYERS = [20 * MIB, 8 * MIB, 3 * MIB]
const SMALL_LAYER = MIB
// on a busy host a connection may look slow and be given up for another, and what was in it is sent twice
const COLD_SLACK = 1.25
const AGAIN_BYTES = 64 * 1024
const ROW = 22

export interface Measured {
  readonly seconds: number
  /** Bytes that the registry has sent. */
  readonly bytes: number
}

/** One client, one image, three pulls. */
export class DemoRun {
  readonly client: ImageClient
  readonly pulls: { cold?: Measured; again?: Measured; off?: Measured } = {}
  /** What was not as it should be. */
  readonly wrong: string[] = []
  readonly #origin: DemoOrigin
  readonly #say: (line: string) => void
  readonly #repository: string
  #image: Pick<Image, 'own' | 'pullBytes'> | undefined

  constructor(components: { client: ImageClient; origin: DemoOrigin; say: (line: string) => void }) {
    this.client = components.client
    this.#origin = components.origin
    this.#say = components.say
    this.#repository = `library/demo-${components.client.name}`
  }

  get title(): string {
    return `${this.client.name} ${this.client.version}`
  }

  async whileRegistryRuns(): Promise<void> {
    const busybox = this.client.run !== undefined && (await hasStaticBusybox())
    const layerBytes = busybox ? LAYERS : [...LAYERS, SMALL_LAYER]
    const image = await buildImage({ seed: `demo ${this.#repository} ${Date.now()}`, layerBytes, busybox })
    await this.#origin.push(image, this.#repository)
    // the bytes of all images would be too much to keep
    this.#image = { own: image.own, pullBytes: image.pullBytes }
    const size = `${formatBytes(image.pullBytes)} in ${image.own.layers.length} layers`
    this.#say(`  ${'new image'.padEnd(ROW)}docker.io/${this.#repository}, ${size}, is in the registry and nowhere else`)
    const cold = await this.#pull('cold', 'first pull')
    if (cold !== undefined) {
      const { bytes } = cold
      if (bytes < image.pullBytes) this.wrong.push(`the first pull did not come from the registry: ${bytes} bytes`)
      if (bytes > image.pullBytes * COLD_SLACK)
        this.wrong.push(`the registry sent much more than one copy: ${bytes} bytes`)
    }
    const again = await this.#pull('again', 'removed, pulled again')
    if (again !== undefined && again.bytes > AGAIN_BYTES)
      this.wrong.push(`the registry sent ${again.bytes} bytes again`)
  }

  async whenRegistryIsOff(): Promise<void> {
    await this.#pull('off', `${this.client.name} pulls`)
  }

  async #pull(which: keyof DemoRun['pulls'], what: string): Promise<Measured | undefined> {
    const reference = `docker.io/${this.#repository}:latest`
    const before = this.#origin.proxy.bytesOut
    const start = performance.now()
    try {
      await this.client.pull(reference)
      const measured = {
        seconds: (performance.now() - start) / 1000,
        bytes: this.#origin.proxy.bytesOut - before,
      }
      const proof = await this.#prove(reference)
      await this.client.remove(reference)
      this.pulls[which] = measured
      this.#say(
        `  ${what.padEnd(ROW)}${showSeconds(measured)}, ${formatBytes(measured.bytes)} from the registry, ${proof}`,
      )
      return measured
    } catch (error) {
      this.wrong.push(`${what}: failed, as said above`)
      this.#say(`  ${what.padEnd(ROW)}FAILED: ${(error as Error).message}`)
      return undefined
    }
  }

  /** @throws Error when the client has something else than what was pushed */
  async #prove(reference: string): Promise<string> {
    const { own } = this.#image ?? {}
    if (own === undefined) throw new Error('there is no image')
    const found = await this.client.contentDigest(reference)
    if (found !== own.config) throw new Error(`the client has ${found} instead of ${own.config}`)
    if (this.client.run === undefined || !own.runs) return 'every digest is right'
    const output = (await this.client.run(reference, ['/bin/sh', '-c', 'echo it runs'])).trim()
    if (output !== 'it runs') throw new Error(`the container printed: ${output}`)
    return 'digests are right, a container of it runs'
  }
}

export function showSeconds({ seconds }: Measured): string {
  return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`
}
