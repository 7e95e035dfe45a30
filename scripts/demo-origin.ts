import { CountingProxy } from '../test/fixtures/counting-proxy.ts'
import { FaultOrigin } from '../test/fixtures/fault-origin.ts'
import type { Image } from '../test/fixtures/image.ts'
import { pushImage } from '../test/fixtures/push-image.ts'
import { RegistryProcess } from '../test/fixtures/registry-process.ts'

/** The registry that the images come from, behind a port that counts what leaves it. */
export interface DemoOrigin {
  readonly description: string
  readonly proxy: CountingProxy
  push(image: Image, repository: string): Promise<void>
  /** Connecting to it is refused from now on. */
  end(): Promise<void>
  close(): Promise<void>
}

/** The real one where it is installed, else one inside this process. */
export async function startDemoOrigin(): Promise<DemoOrigin> {
  const reason = RegistryProcess.unavailable()
  if (reason !== undefined) return startInside(reason)
  const registry = await RegistryProcess.start()
  return {
    description: 'docker-registry, a real one, with nothing in it',
    proxy: registry.proxy,
    push: (image, repository) => pushImage(image, registry.direct, repository, 'latest'),
    end: () => registry.stop(),
    close: () => registry.close(),
  }
}

async function startInside(reason: string): Promise<DemoOrigin> {
  const origin = await FaultOrigin.start()
  const proxy = await CountingProxy.start(Number(new URL(origin.url).port))
  const close = async (): Promise<void> => {
    await proxy.close()
    await origin.close()
  }
  return {
    description: `a small one inside this program, since the real one is missing (${reason})`,
    proxy,
    push: async (image, repository) => {
      for (const bytes of image.blobs.values()) origin.addBlob(bytes)
      for (const { digest, mediaType, bytes } of image.manifests) {
        origin.addManifest(repository, digest === image.digest ? 'latest' : undefined, bytes, mediaType)
      }
    },
    end: close,
    close,
  }
}
