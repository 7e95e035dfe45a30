import { createHash, randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { MIN_CHUNK_BYTES, planChunks } from '../../../src/blob/chunk-plan.ts'
import { Verifier } from '../../../src/blob/verifier.ts'
import { ShoalError } from '../../../src/errors.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { MemoryPartialBlob } from '../../fakes/memory-partial-blob.ts'

const CHUNKS = 4

/** A blob whose chunks are all there, and the order in which they are found to be good. */
function world() {
  const bytes = randomBytes(CHUNKS * MIN_CHUNK_BYTES)
  const partial = new MemoryPartialBlob({
    digest: digestOf('sha256', createHash('sha256').update(bytes).digest('hex')),
    plan: planChunks(bytes.length),
    bytes,
    claimed: new Map(),
    unsure: new Set(),
    onEnd: () => {},
  })
  const verified: number[] = []
  const verifier = new Verifier(partial, {
    accepts: () => true,
    verified: (index) => {
      verified.push(index)
      return true
    },
    rejected: () => {},
  })
  return { partial, verifier, verified, run: () => verifier.run(new AbortController().signal) }
}

it('what peers sent is hashed from the beginning of the blob on, in whatever order it came', async () => {
  const { partial, verifier, verified, run } = world()
  for (const index of [2, 3, 1, 0]) verifier.add(index, 'word')
  expect(await run()).toBe(partial.digest)
  expect(verified).toEqual([0, 1, 2, 3])
})

it('the next chunk does not wait for the log of the one before, and the end does', async () => {
  const { partial, verifier, verified, run } = world()
  const written = Promise.withResolvers<void>()
  const logged: number[] = []
  partial.logChunk = async (index) => {
    await written.promise
    logged.push(index)
  }
  for (let index = 0; index < CHUNKS; index++) verifier.add(index, 'own')
  const ended = run()
  await expect.poll(() => verified).toHaveLength(CHUNKS)
  expect(logged).toEqual([])
  written.resolve()
  await ended
  expect(logged).toHaveLength(CHUNKS)
})

it('a log that can not be written ends it', async () => {
  const { partial, verifier, run } = world()
  partial.failure = new ShoalError('STORE_FULL', 'no room')
  verifier.add(0, 'own')
  await expect(run()).rejects.toBe(partial.failure)
})
