import { expect, it, vi } from 'vitest'
import { chunkEnd, chunkStart, planChunks } from '../../src/blob/chunk-plan.ts'
import { createLaneCertificate } from '../../src/swarm/lane/lane-certificate.ts'
import { LaneClient } from '../../src/swarm/lane/lane-client.ts'
import { LaneServer } from '../../src/swarm/lane/lane-server.ts'
import type { SwarmNode } from '../../src/swarm/node/swarm-node.ts'
import { patternBytes } from '../fakes/fake-blob-reader.ts'
import { LaneContent } from '../fakes/lane-content.ts'
import { silentLog } from '../fakes/silent-log.ts'
import { CLIENT_INIT, REGISTRY, SERVER_LIMITS } from '../fixtures/lane-pair.ts'
import { collect, laneRequest } from '../fixtures/lane-requests.ts'
import { startSwarm } from '../fixtures/swarm-nodes.ts'

const CONTENT = patternBytes(3_000_000)
const LARGE = Buffer.alloc(24 * 1024 * 1024, 7)

interface Pair extends AsyncDisposable {
  readonly client: LaneClient
  readonly server: LaneServer
  readonly content: LaneContent
  /** Of the serving side. */
  readonly peer: string
  readonly nodes: readonly SwarmNode[]
  readonly counts: { lane: number; stream: number }
  readonly sent: { lane: number; stream: number }
}

/** Two agents that are connected over libp2p. @param lane whether the port of the second one can be reached */
async function pair(lane: 'open' | 'closed' | 'none', limits: Partial<typeof SERVER_LIMITS> = {}): Promise<Pair> {
  await using stack = new AsyncDisposableStack()
  const certificates = [createLaneCertificate(), createLaneCertificate()] as const
  const content = new LaneContent()
  const counts = { lane: 0, stream: 0 }
  const sent = { lane: 0, stream: 0 }
  const servers: LaneServer[] = []
  const swarm = await startSwarm(2, (index) => {
    const certificate = certificates[index as 0 | 1]
    return {
      ownLane: () => {
        const port = { open: servers[index]?.port ?? 0, closed: 1, none: 0 }[lane]
        return { fingerprint: certificate.fingerprint, port, hosts: [] }
      },
      prepare: (node) => {
        const metrics = {
          laneServed: () => {},
          sent: (via: 'lane' | 'stream', bytes: number) => {
            sent[via] += bytes
          },
        }
        const server = new LaneServer(
          {
            content,
            members: node,
            ledger: { sent: () => {}, isBanned: () => false },
            certificate,
            clock: Date.now,
            log: silentLog,
            metrics,
          },
          { listen: undefined, uploadRate: undefined, limits: { ...SERVER_LIMITS, ...limits } },
        )
        servers[index] = server
        stack.defer(() => server.stop({ deadlineMs: 0 }))
        void server.start()
      },
    }
  })
  const [serving, asking] = swarm.nodes
  const [server] = servers
  if (serving === undefined || asking === undefined || server === undefined) throw new Error('no swarm')
  const metrics = {
    laneAsked: () => {},
    received: (via: 'lane' | 'stream', bytes: number) => {
      counts[via] += bytes
    },
  }
  const client = new LaneClient(
    { members: asking, certificate: certificates[1], clock: Date.now, log: silentLog, metrics },
    CLIENT_INIT,
  )
  client.start()
  stack.defer(() => client.stop())
  stack.use(swarm)
  const owned = stack.move()
  const dispose = (): Promise<void> => owned.disposeAsync()
  return {
    client,
    server,
    content,
    peer: serving.self,
    nodes: swarm.nodes,
    counts,
    sent,
    [Symbol.asyncDispose]: dispose,
  }
}

it.each(['none', 'closed'] as const)('carries the same exchange where the port is %s', async (lane) => {
  await using agents = await pair(lane)
  const { client, content, peer, counts, sent } = agents
  const digest = content.add(CONTENT, REGISTRY)
  expect((await collect(client, laneRequest(digest), { peer })).bytes.equals(CONTENT)).toBe(true)
  const plan = planChunks(CONTENT.length)
  const parts = await Promise.all(
    Array.from({ length: plan.count }, (_, index) =>
      collect(client, laneRequest(digest, chunkStart(plan, index), chunkEnd(plan, index)), { peer }),
    ),
  )
  expect(Buffer.concat(parts.map(({ bytes }) => bytes)).equals(CONTENT)).toBe(true)
  expect(counts).toEqual({ lane: 0, stream: 2 * CONTENT.length })
  await vi.waitFor(() => expect(sent).toEqual(counts))
  await Promise.all(content.readers.map(({ closed }) => closed))
})

it('says over a stream what is not there', async () => {
  await using agents = await pair('none')
  const { client, content, peer } = agents
  const digest = content.add(CONTENT, 'another.example')
  await expect(collect(client, laneRequest(digest), { peer })).rejects.toThrow(
    expect.objectContaining({ code: 'PEER_LACKS', detail: { peer, status: 404 } }),
  )
  content.add(CONTENT, REGISTRY)
  expect((await collect(client, laneRequest(digest), { peer })).bytes).toHaveLength(CONTENT.length)
})

it('holds back a stream whose body nobody reads, and loses nothing', async () => {
  await using agents = await pair('none')
  const { client, content, peer, sent } = agents
  const digest = content.add(LARGE, REGISTRY)
  const { bytes } = await client.fetch(peer, laneRequest(digest), { signal: new AbortController().signal })
  const iterator = bytes[Symbol.asyncIterator]()
  const first = await iterator.next()
  let before = -1
  await vi.waitFor(
    () => {
      const isAtRest = sent.stream === before
      before = sent.stream
      expect(isAtRest).toBe(true)
    },
    { interval: 200 },
  )
  expect(sent.stream).toBeLessThan(LARGE.length / 2)
  let length = first.done === true ? 0 : first.value.length
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) length += next.value.length
  expect(length).toBe(LARGE.length)
})

it('cuts a stream whose reader takes nothing, and lets go of the blob', async () => {
  await using agents = await pair('none', { writeMs: 300 })
  const { client, content, peer } = agents
  const digest = content.add(LARGE, REGISTRY)
  const { bytes } = await client.fetch(peer, laneRequest(digest), { signal: new AbortController().signal })
  await content.readers[0]?.closed
  const read = async (): Promise<void> => {
    for await (const piece of bytes) expect(piece.length).toBeGreaterThan(0)
  }
  await expect(read()).rejects.toThrow(expect.objectContaining({ code: 'PEER_UNAVAILABLE', detail: { peer } }))
})

it('ends what runs over streams when the peer goes away', async () => {
  await using agents = await pair('none')
  const { client, content, peer, nodes } = agents
  const digest = content.add(LARGE, REGISTRY)
  const { bytes } = await client.fetch(peer, laneRequest(digest), { signal: new AbortController().signal })
  const read = async (): Promise<void> => {
    for await (const piece of bytes) {
      expect(piece.length).toBeGreaterThan(0)
      await nodes[1]?.disconnect(peer)
    }
  }
  await expect(read()).rejects.toThrow(expect.objectContaining({ code: 'PEER_UNAVAILABLE', detail: { peer } }))
  await content.readers[0]?.closed
})
