import fc from 'fast-check'
import { expect, it } from 'vitest'
import { BodyCursor } from '../../../src/facade/body-cursor.ts'
import { multipart, singlePart } from '../../../src/facade/multipart-ranges.ts'
import { FakeBlobReader, patternBytes } from '../../fakes/fake-blob-reader.ts'

const options = { signal: new AbortController().signal }

async function drain(cursor: BodyCursor, bufferBytes: number): Promise<Buffer> {
  const parts: Buffer[] = []
  for (;;) {
    const target = Buffer.alloc(bufferBytes)
    const filled = await cursor.fill(target, options)
    if (filled === 0) return Buffer.concat(parts)
    parts.push(target.subarray(0, filled))
  }
}

it('gives the bytes of any sections in order, whatever the buffers and however short the reads', async () => {
  const content = patternBytes(500)
  const section = fc.record({
    preamble: fc.option(
      fc.string({ maxLength: 9 }).map((text) => Buffer.from(text)),
      { nil: undefined },
    ),
    range: fc.tuple(fc.nat(500), fc.nat(500)).map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) })),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(section, { maxLength: 6 }),
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 1, max: 64 }),
      async (sections, bufferBytes, readBytes) => {
        const reader = new FakeBlobReader(content, { readBytes })
        const expected = Buffer.concat(
          sections.flatMap(({ preamble, range }) => [
            preamble ?? Buffer.alloc(0),
            content.subarray(range.start, range.end),
          ]),
        )
        expect(await drain(new BodyCursor({ reader }, { sections }), bufferBytes)).toEqual(expected)
      },
    ),
  )
})

it('has exactly as many bytes as a multipart plan says', async () => {
  const content = patternBytes(100)
  const plan = multipart(
    'application/octet-stream',
    [
      { start: 0, end: 10 },
      { start: 50, end: 51 },
      { start: 90, end: 100 },
    ],
    100,
  )
  const body = await drain(new BodyCursor({ reader: new FakeBlobReader(content) }, plan), 16)
  expect(body.length).toBe(plan.length)
})

it('passes on a short read at once instead of waiting for a full buffer', async () => {
  const reader = new FakeBlobReader(patternBytes(100), { readBytes: 7 })
  const cursor = new BodyCursor({ reader }, singlePart('x', { start: 0, end: 100 }))
  expect(await cursor.fill(Buffer.alloc(64), options)).toBe(7)
})

it('fails when the blob turns out to be shorter than its size', async () => {
  const reader = new FakeBlobReader(patternBytes(10))
  const cursor = new BodyCursor({ reader }, singlePart('x', { start: 0, end: 20 }))
  await expect(drain(cursor, 64)).rejects.toMatchObject({ code: 'INTERNAL' })
})
