import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { timedPull } from '../../../scripts/fleet/timed-pull.ts'

const LAYERS = ['one', 'two', 'three', 'four'].map((text) => Buffer.from(text.repeat(1000)))
const CONFIG = Buffer.from('{}')
const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const descriptor = (bytes: Buffer) => ({ digest: digestOf(bytes), size: bytes.length })
const MANIFEST = Buffer.from(JSON.stringify({ config: descriptor(CONFIG), layers: LAYERS.map(descriptor) }))

type Answer = (path: string, response: ServerResponse) => boolean

/** @param special answers instead, when it returns true */
async function registry(special: Answer = () => false) {
  const known = new Map([CONFIG, ...LAYERS].map((bytes) => [`/v2/app/blobs/${digestOf(bytes)}`, bytes]))
  known.set('/v2/app/manifests/latest', MANIFEST)
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    if (special(path, response)) return
    response.statusCode = known.has(path) ? 200 : 404
    response.end(known.get(path))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    order: {
      from: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      repository: 'app',
      tag: 'latest',
      layersAtOnce: 3,
      stallMs: 200,
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const isLayer = (path: string): boolean => LAYERS.some((bytes) => path.endsWith(digestOf(bytes)))

test('pulls manifest, config and every layer, and says when', async () => {
  await using origin = await registry()
  const pull = await timedPull(origin.order)
  expect(pull.errors).toEqual([])
  expect(pull.bytes).toBe([MANIFEST, CONFIG, ...LAYERS].reduce((sum, { length }) => sum + length, 0))
  expect(new Set(pull.layers.map(({ digest }) => digest))).toEqual(new Set(LAYERS.map(digestOf)))
  expect(pull.firstByteAt).toBeGreaterThanOrEqual(pull.startedAt)
  expect(pull.endedAt).toBeGreaterThanOrEqual(pull.firstByteAt ?? Infinity)
})

test('has no more than three layers on their way at once', async () => {
  let most = 0
  const waiting: (() => void)[] = []
  await using origin = await registry((path, response) => {
    if (!isLayer(path)) return false
    const bytes = LAYERS.find((layer) => path.endsWith(digestOf(layer)))
    waiting.push(() => response.end(bytes))
    most = Math.max(most, waiting.length)
    // the last one comes alone, when the others have ended
    if (waiting.length === 3 || most === 3) for (const answer of waiting.splice(0)) answer()
    return true
  })
  const pull = await timedPull({ ...origin.order, stallMs: 5_000 })
  expect(pull.errors).toEqual([])
  expect(most).toBe(3)
})

test.each<[string, Answer, RegExp]>([
  ['wrong bytes', (path, response) => isLayer(path) && (response.end(Buffer.alloc(1000)), true), /wrong bytes/],
  [
    'a body that is cut',
    (path, response) =>
      isLayer(path) && (response.writeHead(200, { 'content-length': 5000 }).write('x', () => response.destroy()), true),
    /aborted|hang up/,
  ],
  ['a refusal', (path, response) => path.includes('manifests') && (response.writeHead(404).end(), true), /404/],
  ['silence', (path) => isLayer(path), /nothing moved/],
  ['a manifest that is none', (path, response) => path.includes('manifests') && (response.end('<html>'), true), /JSON/],
  ['a stall in the middle', (path, response) => isLayer(path) && (response.write('x'), true), /nothing moved/],
])('%s is an error, and the pull ends', async (_, special, message) => {
  await using origin = await registry(special)
  const { errors } = await timedPull(origin.order)
  expect(errors.join('\n')).toMatch(message)
})
