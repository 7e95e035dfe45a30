import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ChunkRecord, drawChunks } from '../../../scripts/fleet/chunk-picture.ts'
import { parseTransferLog } from '../../../scripts/fleet/transfer-logs.ts'

const init = {
  title: 'a <picture>',
  layers: [
    { digest: 'sha256:a', chunks: 2 },
    { digest: 'sha256:b', chunks: 2 },
  ],
  hosts: ['h0', 'h1'],
  startAt: 1000,
  boundSeconds: 10,
}
const record = (more: Partial<ChunkRecord>): ChunkRecord => ({
  time: 2000,
  host: 'h0',
  digest: 'sha256:a',
  chunk: 0,
  source: 'origin',
  event: 'verified',
  ...more,
})

interface Mark {
  readonly x: number
  readonly y: number
  readonly color: string
}

function marksOf(svg: string): Mark[] {
  return [...svg.matchAll(/<rect x="([\d.]+)" y="([\d.]+)" width="2" height="2" fill="(#\w+)"\/>/g)].map(
    ([, x, y, color = '']) => ({ x: Number(x), y: Number(y), color }),
  )
}

test('later chunks are further to the right, further ones of the image higher', () => {
  const [early, late] = marksOf(drawChunks([record({}), record({ time: 5000, digest: 'sha256:b', chunk: 1 })], init))
  expect(late?.x).toBeGreaterThan(early?.x ?? Infinity)
  expect(late?.y).toBeLessThan(early?.y ?? 0)
})

test('each host has a row, in their order', () => {
  const [first, second] = marksOf(drawChunks([record({}), record({ host: 'h1' })], init))
  expect(second?.y).toBeGreaterThan(first?.y ?? Infinity)
})

test('origin, peers and waste differ in colour', () => {
  const records = [record({}), record({ source: 'peer', peer: 'x' }), record({ event: 'wasted' })]
  expect(new Set(marksOf(drawChunks(records, init)).map(({ color }) => color)).size).toBe(3)
})

test('what is not of the image, of no host of it, or no event of its own is left out', () => {
  const records = [
    record({ digest: 'sha256:c' }),
    record({ host: 'h9' }),
    record({ event: 'asked' }),
    record({ chunk: -1 }),
  ]
  expect(marksOf(drawChunks(records, init))).toEqual([])
})

test('names and titles cannot break the picture', () => {
  const svg = drawChunks([], { ...init, hosts: ['"><script>'] })
  expect(svg).not.toContain('<script>')
  expect(svg).not.toContain('<picture>')
})

test('every mark lies inside the picture, whatever the records say', () => {
  const records = fc.array(
    fc.record({ time: fc.integer({ min: 0, max: 1e9 }), chunk: fc.integer({ min: -5, max: 1e6 }) }),
  )
  fc.assert(
    fc.property(records, (list) => {
      const svg = drawChunks(list.map(record), init)
      const [, width = 0, height = 0] = (/width="(\d+)" height="(\d+)"/.exec(svg) ?? []).map(Number)
      for (const { x, y } of marksOf(svg)) {
        expect(x).toBeGreaterThanOrEqual(0)
        expect(x).toBeLessThanOrEqual(width)
        expect(y).toBeGreaterThanOrEqual(0)
        expect(y).toBeLessThanOrEqual(height)
      }
    }),
  )
})

test('reads the lines of a log, and leaves out one that was cut short or is about something else', () => {
  const { host, ...line } = record({ source: 'peer', peer: 'x' })
  const text = `${JSON.stringify(line)}\n{"msg":"started"}\n${JSON.stringify(line).slice(0, 30)}`
  expect(parseTransferLog(text, host)).toEqual([{ ...line, host }])
})
