import { expect, it, vi } from 'vitest'
import { patternBytes } from '../fakes/fake-blob-reader.ts'
import { introduce, REGISTRY, SERVER, startClient, startServer } from '../fixtures/lane-pair.ts'
import { ANY_DIGEST, collect, laneRequest } from '../fixtures/lane-requests.ts'
import { scriptedLane } from '../fixtures/scripted-lane.ts'

const CONTENT = patternBytes(3_000_000)

it('gives a blob whole, in ranges and from the middle', async (context) => {
  const serving = await startServer(context)
  const asking = startClient(context)
  introduce(asking, serving)
  const digest = serving.content.add(CONTENT, REGISTRY)
  const whole = await collect(asking.client, laneRequest(digest))
  expect(whole.totalSize).toBe(CONTENT.length)
  expect(whole.bytes.equals(CONTENT)).toBe(true)
  for (const [start, end] of [
    [0, 1],
    [0, 300_000],
    [262_144, 524_288],
    [1_999_999, 3_000_000],
    [0, 3_000_000],
  ] as const) {
    const part = await collect(asking.client, laneRequest(digest, start, end))
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
  expect(await collect(asking.client, laneRequest(digest))).toEqual({ totalSize: 0, bytes: Buffer.alloc(0) })
})

it('gives many ranges at once, from a reader that gives little at a time', async (context) => {
  const serving = await startServer(context)
  const asking = startClient(context)
  introduce(asking, serving)
  const digest = serving.content.add(CONTENT, REGISTRY, { readBytes: 7_001 })
  const starts = Array.from({ length: 12 }, (_, index) => index * 250_000)
  const parts = await Promise.all(
    starts.map((start) => collect(asking.client, laneRequest(digest, start, start + 250_000))),
  )
  expect(Buffer.concat(parts.map(({ bytes }) => bytes)).equals(CONTENT)).toBe(true)
})

it('sends many requests over few connections', async (context) => {
  const scripted = await scriptedLane(context, (socket, _request, index) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n${index % 10}`)
  })
  const { client, members } = startClient(context, { connectionsPerPeer: 3 })
  members.add(SERVER, scripted.lane)
  await Promise.all(Array.from({ length: 30 }, () => collect(client, laneRequest(ANY_DIGEST))))
  expect(scripted.requests).toHaveLength(30)
  expect(scripted.connections).toBe(3)
})

it('has a connection ready that was prepared, for the first request as for those that come meanwhile', async (context) => {
  const scripted = await scriptedLane(context, (socket) =>
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1'),
  )
  const { client, members } = startClient(context, { connectionsPerPeer: 3 })
  members.add(SERVER, scripted.lane)
  client.prepare(SERVER)
  client.prepare(SERVER)
  await vi.waitFor(() => expect(client.connections).toBe(1))
  await collect(client, laneRequest(ANY_DIGEST))
  client.prepare(SERVER)
  expect([scripted.connections, scripted.requests.length]).toEqual([1, 1])
  client.drop(SERVER)
  client.prepare(SERVER)
  await Promise.all(Array.from({ length: 6 }, () => collect(client, laneRequest(ANY_DIGEST))))
  expect(scripted.requests).toHaveLength(7)
  expect(scripted.connections).toBeLessThanOrEqual(4)
})

it('reads no faster than the reader of the body', async (context) => {
  const serving = await startServer(context)
  const asking = startClient(context)
  introduce(asking, serving)
  const large = Buffer.alloc(64 * 1024 * 1024, 1)
  const digest = serving.content.add(large, REGISTRY)
  const { signal } = new AbortController()
  const { bytes } = await asking.client.fetch(SERVER, laneRequest(digest), { signal })
  const iterator = bytes[Symbol.asyncIterator]()
  await iterator.next()
  // a connection with nothing to hold it back would bring all of it while a second one is served
  const small = serving.content.add(CONTENT, REGISTRY)
  for (let round = 0; round < 5; round += 1) await collect(asking.client, laneRequest(small))
  expect(serving.sent.lane).toBeLessThan(5 * CONTENT.length + large.length / 2)
  let rest = 0
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) rest += next.value.length
  expect(rest).toBeGreaterThan(large.length / 2)
})

it('keeps to the rates of both sides', async (context) => {
  const bytesPerSecond = 4_000_000
  const slowServer = await startServer(context, { uploadRate: bytesPerSecond })
  const slowClient = startClient(context, { downloadRate: bytesPerSecond })
  const fastServer = await startServer(context)
  const fastClient = startClient(context)
  for (const [asking, serving] of [
    [fastClient, slowServer],
    [slowClient, fastServer],
  ] as const) {
    introduce(asking, serving)
    const digest = serving.content.add(CONTENT, REGISTRY)
    const begun = performance.now()
    await collect(asking.client, laneRequest(digest))
    // a quarter of a second's worth is given at once
    expect(performance.now() - begun).toBeGreaterThan(((CONTENT.length - bytesPerSecond / 4) / bytesPerSecond) * 950)
  }
})

it('ends a request of a caller that leaves, and reads nothing more', async (context) => {
  const serving = await startServer(context)
  const asking = startClient(context)
  introduce(asking, serving)
  const digest = serving.content.add(Buffer.alloc(32 * 1024 * 1024), REGISTRY)
  const stop = new AbortController()
  const { bytes } = await asking.client.fetch(SERVER, laneRequest(digest), { signal: stop.signal })
  const rest = async (): Promise<void> => {
    for await (const piece of bytes) if (piece.length > 0) stop.abort()
  }
  await expect(rest()).rejects.toThrow(expect.objectContaining({ code: 'ABORTED' }))
  await Promise.all(serving.content.readers.map(({ closed }) => closed))
  const late = asking.client.fetch(SERVER, laneRequest(digest), { signal: stop.signal })
  await expect(late).rejects.toThrow(expect.objectContaining({ code: 'ABORTED' }))
})

it.for(['before the first piece', 'after it'])(
  'closes the connection when the iteration ends %s',
  async (when, context) => {
    const serving = await startServer(context)
    const asking = startClient(context)
    introduce(asking, serving)
    const digest = serving.content.add(Buffer.alloc(32 * 1024 * 1024), REGISTRY)
    const { bytes } = await asking.client.fetch(SERVER, laneRequest(digest), { signal: new AbortController().signal })
    const iterator = bytes[Symbol.asyncIterator]()
    if (when === 'after it') await iterator.next()
    await iterator.return?.()
    await serving.content.readers[0]?.closed
    expect(serving.sent.lane).toBeLessThan(32 * 1024 * 1024)
  },
)

it('asks again where a connection was closed while nobody used it', async (context) => {
  const scripted = await scriptedLane(context, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na')
  })
  const { client, members } = startClient(context)
  members.add(SERVER, scripted.lane)
  await Promise.all(Array.from({ length: 4 }, () => collect(client, laneRequest(ANY_DIGEST))))
  for (const socket of scripted.sockets) socket.destroy()
  expect((await collect(client, laneRequest(ANY_DIGEST))).bytes.toString()).toBe('a')
})

it('stops without cutting the bodies under way', async (context) => {
  const serving = await startServer(context)
  const asking = startClient(context)
  introduce(asking, serving)
  const digest = serving.content.add(CONTENT, REGISTRY)
  const { bytes } = await asking.client.fetch(SERVER, laneRequest(digest), { signal: new AbortController().signal })
  const stopped = serving.server.stop({ deadlineMs: 5_000 })
  let length = 0
  for await (const piece of bytes) length += piece.length
  expect(length).toBe(CONTENT.length)
  await stopped
  const late = collect(asking.client, laneRequest(digest))
  await expect(late).rejects.toThrow(expect.objectContaining({ code: 'PEER_UNAVAILABLE' }))
})

it('cuts the bodies under way when the time to stop has passed', async (context) => {
  const serving = await startServer(context)
  const asking = startClient(context)
  introduce(asking, serving)
  const digest = serving.content.add(Buffer.alloc(64 * 1024 * 1024), REGISTRY)
  const { bytes } = await asking.client.fetch(SERVER, laneRequest(digest), { signal: new AbortController().signal })
  await serving.server.stop({ deadlineMs: 20 })
  const rest = async (): Promise<void> => {
    for await (const piece of bytes) expect(piece.length).toBeGreaterThan(0)
  }
  await expect(rest()).rejects.toThrow(expect.objectContaining({ code: 'PEER_UNAVAILABLE' }))
})

it('ends every request to a peer that is dropped, on either side', async (context) => {
  const serving = await startServer(context)
  const asking = startClient(context)
  introduce(asking, serving)
  const digest = serving.content.add(Buffer.alloc(16 * 1024 * 1024), REGISTRY)
  for (const drop of [() => asking.client.drop(SERVER), () => serving.server.drop('client')]) {
    const requests = Array.from({ length: 6 }, () => collect(asking.client, laneRequest(digest)))
    await vi.waitFor(() => expect(serving.content.readers.length).toBeGreaterThan(0))
    drop()
    const [first] = await Promise.allSettled(requests)
    expect(first).toMatchObject({ status: 'rejected', reason: { code: 'PEER_UNAVAILABLE', detail: { peer: SERVER } } })
    serving.content.readers.length = 0
  }
})
