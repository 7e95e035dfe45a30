import type { Abortable } from '../blob/ports.ts'
import { toShoalError } from '../errors.ts'
import type { ImageName } from '../oci/image-name.ts'
import { Slots } from '../util/slots.ts'
import type { Fleet, FleetImage, HostEnd, HostProgress } from './fleet.ts'
import type { Emit } from './image-prewarm.ts'

const NOTHING: HostProgress = { bytes: 0, totalBytes: 0, fromOrigin: 0, fromPeers: 0 }

/** Asks the other agents for an image, so many at a time. */
export class FleetRollout {
  readonly #fleet: Fleet
  readonly #slots: Slots
  readonly #platforms: readonly string[]

  constructor(
    { fleet }: { readonly fleet: Fleet },
    init: { readonly hostsAtOnce: number; readonly platforms: readonly string[] },
  ) {
    this.#fleet = fleet
    this.#slots = new Slots({ most: init.hostsAtOnce })
    this.#platforms = init.platforms
  }

  /** A host that fails is told and is no error. @throws the signal's reason */
  async run(
    { image, name }: { readonly image: string; readonly name: ImageName },
    emit: Emit,
    options: Abortable,
  ): Promise<{ readonly hosts: number; readonly failed: number }> {
    const { repository, reference } = name
    const asked: FleetImage = {
      ...repository,
      reference: 'tag' in reference ? reference.tag : reference.digest,
      platforms: this.#platforms,
    }
    const hosts = this.#fleet.hosts()
    const ends = await Promise.all(
      hosts.map(({ id, address }) =>
        this.#slots.run(async () => {
          const host = { type: 'host', image, peer: id, address } as const
          let last = NOTHING
          const onProgress = (progress: HostProgress): void => {
            last = progress
            emit({ ...host, state: 'running', ...progress })
          }
          const { ok, message, ...progress } = await this.#ask(id, asked, onProgress, () => last, options)
          emit({ ...host, state: ok ? 'done' : 'failed', ...progress, ...(message !== undefined && { message }) })
          return ok
        }, options),
      ),
    )
    return { hosts: hosts.length, failed: ends.filter((ok) => !ok).length }
  }

  async #ask(
    id: string,
    image: FleetImage,
    onProgress: (progress: HostProgress) => void,
    last: () => HostProgress,
    options: Abortable,
  ): Promise<HostEnd> {
    try {
      return await this.#fleet.ask(id, image, onProgress, options)
    } catch (error) {
      options.signal.throwIfAborted()
      return { ...last(), ok: false, message: toShoalError(error).message }
    }
  }
}
