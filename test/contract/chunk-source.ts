import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ChunkSource, SourceBody } from '../../src/blob/ports.ts'
import { ShoalError } from '../../src/errors.ts'
import type { Digest } from '../../src/oci/digest.ts'

/** A source under test, with the means to see what it does. */
export interface ChunkSourceHarness {
  /** Makes the blob available and gives the source of it. */
  source(bytes: Buffer): ChunkSource
  /** A source of a blob that is not there. */
  unknown(digest: Digest): ChunkSource
  /** Resolves when nothing that was opened holds a connection or a reader any more. */
  idle(): Promise<void>
  close(): Promise<void>
}

const NOWHERE = `sha256:${'0'.repeat(64)}` as Digest

/** What every ChunkSource has to keep: see `src/blob/ports.ts`. */
export function chunkSourceContract(name: string, create: () => Promise<ChunkSourceHarness>): void {
  describe(`${name} as a ChunkSource`, () => {
    const content = Buffer.from(Array.from({ length: 700_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff))
    const { signal } = new AbortController()
    let harness: ChunkSourceHarness

    beforeEach(async () => {
      harness = await create()
    })

    afterEach(async () => {
      await harness.close()
    })

    async function collect(body: SourceBody): Promise<Buffer> {
      const parts: Uint8Array[] = []
      for await (const part of body.bytes) parts.push(part)
      return Buffer.concat(parts)
    }

    it.each([
      [0, undefined],
      [0, 1],
      [0, 700_000],
      [123, 456],
      [262_144, 524_288],
      [699_999, undefined],
    ])('gives the bytes from %s to %s and no others', async (start, end) => {
      const body = await harness.source(content).open({ start, end }, { signal })
      expect([undefined, content.length]).toContain(body.totalSize)
      expect((await collect(body)).equals(content.subarray(start, end))).toBe(true)
    })

    it('gives several ranges at the same time', async () => {
      const source = harness.source(content)
      const starts = [0, 100_000, 200_000, 300_000, 400_000, 500_000, 600_000]
      const parts = await Promise.all(
        starts.map(async (start) => collect(await source.open({ start, end: start + 100_000 }, { signal }))),
      )
      expect(Buffer.concat(parts).equals(content)).toBe(true)
    })

    it('gives an empty blob', async () => {
      const body = await harness.source(Buffer.alloc(0)).open({ start: 0, end: undefined }, { signal })
      expect(await collect(body)).toHaveLength(0)
    })

    it('lets go of everything when the reader stops', async () => {
      const body = await harness.source(content).open({ start: 0, end: undefined }, { signal })
      for await (const part of body.bytes) {
        expect(part.length).toBeGreaterThan(0)
        break
      }
      await harness.idle()
    })

    it('says BLOB_UNKNOWN for what is not there', async () => {
      const opening = harness.unknown(NOWHERE).open({ start: 0, end: undefined }, { signal })
      await expect(opening).rejects.toEqual(expect.objectContaining({ code: 'BLOB_UNKNOWN' }))
    })

    it('opens nothing for a caller that has left', async () => {
      const opening = harness.source(content).open({ start: 0, end: 1 }, { signal: AbortSignal.abort() })
      const error = await opening.catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(ShoalError)
      expect(error).toMatchObject({ code: 'ABORTED' })
      await harness.idle()
    })

    it('ends a body whose caller leaves', async () => {
      const stop = new AbortController()
      const large = Buffer.alloc(32 * 1024 * 1024, 1)
      const { bytes } = await harness.source(large).open({ start: 0, end: undefined }, { signal: stop.signal })
      const iterator = bytes[Symbol.asyncIterator]()
      await iterator.next()
      stop.abort()
      const rest = async (): Promise<void> => {
        while ((await iterator.next()).done !== true);
      }
      await expect(rest()).rejects.toEqual(expect.objectContaining({ code: 'ABORTED' }))
      await harness.idle()
    })
  })
}
