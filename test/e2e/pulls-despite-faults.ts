import { afterAll, describe, expect, it } from 'vitest'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import type { Fault } from '../fixtures/fault-origin-faults.ts'
import { contentOf, foundBy } from './describe-pulls.ts'
import type { PullWorld, PushedImage } from './pull-world.ts'

const MANIFESTS = /\/manifests\//
const BLOBS = /\/blobs\//

interface Case {
  readonly what: string
  readonly path: RegExp
  readonly fault: Fault
}

// before anything was served, every client goes elsewhere
export const MANIFEST_FAULTS: readonly Case[] = [
  { what: 'does not know the manifest', path: MANIFESTS, fault: { kind: 'status', status: 404 } },
  { what: 'fails at the manifest', path: MANIFESTS, fault: { kind: 'status', status: 500 } },
  { what: 'limits requests for manifests', path: MANIFESTS, fault: { kind: 'status', status: 429 } },
  { what: 'wants a login', path: MANIFESTS, fault: { kind: 'challenge', challenges: ['Basic realm="origin"'] } },
  { what: 'hangs up at the manifest', path: MANIFESTS, fault: { kind: 'close' } },
  { what: 'never answers for the manifest', path: MANIFESTS, fault: { kind: 'hang' } },
  { what: 'sends a wrong manifest', path: MANIFESTS, fault: { kind: 'corrupt', at: 3 } },
  { what: 'cuts every blob in the middle', path: BLOBS, fault: { kind: 'cut', after: 400_000 } },
]

// docker and containerd also go elsewhere for a blob
export const BLOB_FAULTS: readonly Case[] = [
  { what: 'does not know the blobs', path: BLOBS, fault: { kind: 'status', status: 404 } },
  { what: 'fails at the blobs', path: BLOBS, fault: { kind: 'status', status: 500 } },
  { what: 'limits requests for blobs', path: BLOBS, fault: { kind: 'status', status: 429 } },
  { what: 'hangs up at the blobs', path: BLOBS, fault: { kind: 'close' } },
  { what: 'never answers for the blobs', path: BLOBS, fault: { kind: 'hang' } },
]

/** The agent's way to the origin is broken, the client's own is not: the pull works as if there were no agent. */
export function pullsDespiteFaults(world: () => PullWorld, cases: readonly Case[]): void {
  describe('when its own way to the origin is good', () => {
    afterAll(async () => {
      await world().restoreAgent()
    })

    it.each(cases)("pulls when the agent's origin $what", { timeout: 120_000 }, async ({ path, fault }) => {
      const image = await world().push({ layerBytes: [1_000_000], busybox: false })
      await using origin = await FaultOrigin.start()
      fill(origin, image)
      await world().agent.restart({
        config: {
          origin: { firstByte: '1s', stall: '1s', registries: { 'docker.io': { mirrors: [origin.url] } } },
          facade: { firstByte: '3s' },
        },
      })
      const injection = origin.inject({ fault, match: { path }, times: Number.POSITIVE_INFINITY })
      try {
        await world().client.pull(image.reference)
        expect(await foundBy(world(), image)).toEqual(contentOf(image))
        expect(injection.hits).toBeGreaterThan(0)
      } finally {
        injection.release()
      }
    })
  })
}

function fill(origin: FaultOrigin, image: PushedImage): void {
  for (const bytes of image.blobs.values()) origin.addBlob(bytes)
  for (const { digest, mediaType, bytes } of image.manifests) {
    origin.addManifest(image.repository, digest === image.digest ? 'latest' : undefined, bytes, mediaType)
  }
}
