import { expect, it, vi } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import type { LaneRequest } from '../../src/swarm/swarm-ports.ts'
import { patternBytes } from '../fakes/fake-blob-reader.ts'
import { type AskingSide, introduce, REGISTRY, SERVER, startClient, startServer } from '../fixtures/lane-pair.ts'
import { scriptedLane } from '../fixtures/scripted-lane.ts'

const { signal } = new AbortController()
const CONTENT = patternBytes(3_000_000)

function blob(digest: Digest, start?: number, end?: number): LaneRequest {
  return { digest, registry: REGISTRY, range: start === undefined || end === undefined ? undefined : { start, end } }
}

async function get({ client }: AskingSide, request: LaneRequest): Promise<{ totalSize: number; bytes: Buffer }> {
  const { totalSize, bytes } = await client.fetch(SERVER, request, { signal })
  const parts: Uint8Array[] = []
  for await (const part of bytes) parts.push(part)
  return { totalSize, bytes: Buffer.concat(parts) }
}

it('gives a blob whole, in ranges and from the middle, over one connection', async (context) => {
  const serving = await startServer(context)
  const asking = startClient(context)
  introduce(asking, serving)
  const digest = serving.content.add(CONTENT, REGISTRY)
  const whole = await get(asking, blob(digest))
  expect(whole.totalSize).toBe(CONTENT.length)
  expect(whole.bytes.equals(CONTENT)).toBe(true)
  for (const [start, end] of [
    [0, 1],
    [0, 300_000],
    [262_144, 524_288],
    [1_999_999, 3_000_000],
    [0, 3_000_000],
  ] as const) {
    const part = await get(asking, blob(digest, start, end))
    expect(part.totalSize).toBe(CONTENT.length)
    expect(part.bytes.equals(CONTENT.subarray(start, end))).toBe(true)
  }
  const bytes = 2 * CONTENT.length + 1 + 300_000 + 262_144 + 1_000_001
  expect(asking.received).toEqual({ lane: bytes, stream: 0 })
  await vi.waitFor(() => expect(serving.sent).toEqual({ lane: bytes, stream: 0 }))
  await Promise.all(serving.content.readers.map(({ closed }) => closed))
})

it('gives an empty blob', async (context) => {
  const serving = await startServer(context)
  const asking = startClient(context)
  introduce(asking, serving)
  const digest = serving.content.add(Buffer.alloc(0), REGISTRY)
  expect(await get(asking, blob(digest))).toEqual({ totalSize: 0, bytes: Buffer.alloc(0) })
})

it('sends many requests over few connections', async (context) => {
  const scripted = await scriptedLane(context, (socket, _request, index) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n${index % 10}`)
  })
  const asking = startClient(context, { connectionsPerPeer: 3 })
  asking.members.add(SERVER, scripted.lane)
  const digest = `sha256:${'0'.repeat(64)}` as Digest
  const all = await Promise.all(Array.from({ length: 30 }, () => get(asking, blob(digest))))
  expect(all).toHaveLength(30)
  expect(scripted.requests).toHaveLength(30)
  expect(scripted.connections).toBe(3)
})
