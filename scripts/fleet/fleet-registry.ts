import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Child } from '../../test/fixtures/child.ts'
import { buildImage } from '../../test/fixtures/image.ts'
import { pushImage } from '../../test/fixtures/push-image.ts'
import { startInside } from './namespaces.ts'

export const REPOSITORY = 'fleet/image'
export const TAG = 'latest'
export const REGISTRY_PORT = 5000

export interface RegistryInit {
  readonly dir: string
  /** `host:port` */
  readonly listen: string
  /** Of the registry that it is a pull-through cache of. */
  readonly upstream?: string
  /** Without one it runs in the machine's own. */
  readonly namespace?: string
}

/** A real registry. @returns its process and the port it has */
export async function startRegistry(init: RegistryInit): Promise<{ child: Child; port: number }> {
  const file = join(init.dir, 'registry.json')
  const config = {
    version: 0.1,
    log: { level: 'info', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(init.dir, 'storage') }, delete: { enabled: true } },
    http: { addr: init.listen, secret: 'of this bench' },
    ...(init.upstream !== undefined && { proxy: { remoteurl: init.upstream } }),
  }
  // every JSON file is YAML
  await writeFile(file, JSON.stringify(config))
  const args = ['serve', file]
  const child =
    init.namespace === undefined
      ? Child.start('docker-registry', args)
      : startInside(init.namespace, 'docker-registry', args)
  const [, port] = await child.until(/listening on [\d.]+:(\d+)/)
  return { child, port: Number(port) }
}

export interface FleetImage {
  /** Of one copy: manifest, config and layers. */
  readonly bytes: number
  readonly layers: readonly { readonly digest: string; readonly size: number }[]
}

/** Fills a registry's directory with an image of random bytes. */
export async function fillRegistry(
  dir: string,
  image: { readonly bytes: number; readonly layers: number; readonly seed: string },
): Promise<FleetImage> {
  const layerBytes = Array.from({ length: image.layers }, () => Math.floor(image.bytes / image.layers))
  const built = await buildImage({ seed: image.seed, layerBytes })
  const { child, port } = await startRegistry({ dir, listen: '127.0.0.1:0' })
  try {
    await pushImage(built, `127.0.0.1:${port}`, REPOSITORY, TAG)
  } finally {
    await child.stop()
  }
  return { bytes: built.pullBytes, layers: built.own.layers }
}
