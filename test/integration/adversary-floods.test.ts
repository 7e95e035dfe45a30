/** Peers that send too much, nonsense, or read nothing, while clients pull. */
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { DhtProviderDirectory } from '../../src/swarm/discovery/dht-provider-directory.ts'
import { frame } from '../../src/swarm/encoding/frames.ts'
import { formatLaneTarget, LANE_STREAM_PROTOCOL } from '../../src/swarm/lane/lane-protocol.ts'
import { deriveSwarmKey } from '../../src/swarm/membership/swarm-secret.ts'
import { MAX_PROVIDERS_TOLD } from '../../src/swarm/node/kad-bounds.ts'
import { K, KAD_PROTOCOL } from '../../src/swarm/node/libp2p-options.ts'
import { SWARM_PROTOCOL } from '../../src/swarm/protocol/swarm-protocol.ts'
import { silentLog } from '../fakes/silent-log.ts'
import { Adversary } from '../fixtures/adversary/adversary.ts'
import { Arena } from '../fixtures/adversary/arena.ts'
import { blobOf } from '../fixtures/adversary/false-blob.ts'
import {
  flood,
  isCutOff,
  largestHave,
  openTo,
  wantAgainAndAgain,
  wantOfAnything,
} from '../fixtures/adversary/floods.ts'
import { addProviders, forgedId, tellProviders } from '../fixtures/adversary/kad-lies.ts'
import { openTrap } from '../fixtures/adversary/trap.ts'
import { bansOf, CHUNKS } from '../fixtures/adversary/trial.ts'
import { WatchedPulls } from '../fixtures/adversary/watched-pulls.ts'
import { rawLane, readRaw } from '../fixtures/scripted-lane.ts'
import { bootstrapOf, connectedTo, startSwarmNode } from '../fixtures/swarm-nodes.ts'

const MIB = 1024 * 1024
const FLOOD_MS = 2_000
const SOON = { timeout: 15_000, interval: 20 }

let arena: Arena
let ids: string[]

beforeAll(async () => {
  arena = await Arena.start({ honest: 3 })
  ids = (await arena.statuses()).map(({ swarm }) => swarm?.id ?? '')
})
afterAll(() => arena[Symbol.asyncDispose]())

/** All honest agents but the holder pull a blob that is new to them, again and again until the attack is over. */
async function pullsDuring(name: string, attack: () => Promise<void>): Promise<void> {
  const state = { isOver: false }
  const attacking = attack().finally(() => {
    state.isOver = true
  })
  const pulls = new WatchedPulls()
  let count = 0
  for (let turn = 1; turn === 1 || !state.isOver; turn++) {
    const blob = blobOf(`${name} ${turn}`, CHUNKS)
    await arena.give(blob)
    const takers = arena.fleet.agents.slice(1)
    await Promise.all(takers.map((taker) => pulls.pull(arena.url(taker, blob, 'slow'), blob)))
    count += takers.length
  }
  await attacking
  pulls.check(count)
  await arena.checkNoHonestBanned()
}

function idAt(index: number): string {
  return ids[index] ?? ''
}

describe('a peer that breaks the swarm protocol', () => {
  it.each<readonly [string, () => Uint8Array]>([
    ['with noise', () => frame(randomBytes(1_000))],
    ['with a length beyond all messages', () => Buffer.from('ffffffff00', 'hex')],
    ['with arrays in arrays', () => frame(Buffer.alloc(100_000, 0x81))],
    ['with an array of four billion items', () => frame(Buffer.from('9affffffff', 'hex'))],
    ['with a text of a gigabyte that does not come', () => frame(Buffer.from('7a40000000', 'hex'))],
  ])('%s is shut out after the third time, and nobody else', async (name, message) => {
    await using adversary = await arena.enter()
    await pullsDuring(name, async () => {
      for (let turn = 0; turn < 3; turn++) {
        const stream = await openTo(adversary, idAt(1), SWARM_PROTOCOL)
        stream.send(message())
        await isCutOff(stream)
      }
    })
    const [ban] = await bansOf(arena, adversary.id, [1])
    expect(ban?.reason).toBe('protocol')
    expect((await arena.bans())[2]?.filter(({ peer }) => peer === adversary.id)).toEqual([])
  })

  it('with statements that nobody signed is shut out by who asked it', async () => {
    await using adversary = await arena.enter()
    adversary.onMessage = (peer, message) => {
      if (message.type !== 'want') return
      const { digest, registry } = message
      const statements = [randomBytes(500)]
      adversary.protocol.send(peer, { type: 'have', digest, registry, size: 3_000_000, bits: undefined, statements })
    }
    await pullsDuring('unsigned', async () => {
      const [ban] = await bansOf(arena, adversary.id, [1])
      expect(ban?.reason).toBe('protocol')
    })
  })
})

describe('a peer that floods', () => {
  it.each<readonly [string, () => Uint8Array, number]>([
    // most of it stands in the buffers of both ends
    ['wants', wantOfAnything, 6 * MIB],
    ['messages of the largest size', largestHave, 40 * MIB],
  ])('an agent with %s is read no faster than it may send', async (name, message, most) => {
    await using adversary = await arena.enter()
    await pullsDuring(name, async () => {
      const stream = await openTo(adversary, idAt(1), SWARM_PROTOCOL)
      const sent = await flood(stream, message, AbortSignal.timeout(FLOOD_MS))
      expect(sent.pieces).toBeGreaterThan(10)
      expect(sent.bytes).toBeLessThan(most)
    })
  })

  it('every agent over every protocol at once keeps no pull from ending', async () => {
    await using adversary = await arena.enter()
    const noise = (): Uint8Array => randomBytes(16 * 1024)
    const floodWith = async (id: string, protocol: string, until: AbortSignal): Promise<number> => {
      let bytes = 0
      while (!until.aborted) {
        try {
          bytes += (await flood(await openTo(adversary, id, protocol), noise, until)).bytes
        } catch {
          // it is shut out by now, has too many streams, or has lost its connection
          await pause(20)
          await adversary.node.connect(id, { signal: until }).catch(() => {})
        }
      }
      return bytes
    }
    await pullsDuring('everything', async () => {
      const until = AbortSignal.timeout(FLOOD_MS)
      const protocols = [SWARM_PROTOCOL, KAD_PROTOCOL, LANE_STREAM_PROTOCOL, '/shoal/members/1', '/shoal/id/1.0.0']
      const floods = ids.map((id) => Promise.all(protocols.map((protocol) => floodWith(id, protocol, until))))
      for (const bytes of await Promise.all(floods)) expect(Math.max(...bytes)).toBeGreaterThan(0)
    })
    // a connection that broke under it may have kept it from being shut out so far
    const over = new AbortController()
    const more = Promise.all(ids.map((id) => floodWith(id, SWARM_PROTOCOL, over.signal)))
    await bansOf(arena, adversary.id, [0, 1, 2])
    over.abort()
    await more
  })

  it('a lane with what is no request is cut off, and others are served', async () => {
    await using adversary = await arena.enter()
    const { lane } = (await arena.holder.status()).listening
    const port = Number(lane[0]?.split(':').at(-1))
    const target = formatLaneTarget({ digest: blobOf('x', 2).digest, registry: 'r', range: undefined })
    const nonsense: (string | Buffer)[] = [
      randomBytes(4_000),
      `GET ${target} HTTP/1.1\r\nhost: lane\r\nx: ${'y'.repeat(64 * 1024)}\r\n\r\n`,
      `GET ${target} HTTP/1.1\r\nhost: lane\r\ncontent-length: 10\r\n\r\n0123456789`,
      `POST ${target} HTTP/1.1\r\nhost: lane\r\ntransfer-encoding: chunked\r\n\r\n`,
      `GET /../../etc/passwd HTTP/1.1\r\nhost: lane\r\n\r\n`,
      `GET ${target} HTTP/1.1\r\nhost: lane\r\n\r\n`.repeat(1_000),
      `GET ${target} HTTP/1.1\r\nhost: lane\r\nrange: bytes=5-1\r\n\r\n`,
    ]
    await pullsDuring('lane', async () => {
      const answers = await Promise.all(
        nonsense.map(async (text) => {
          const socket = await rawLane(port, adversary.lane.certificate)
          socket.write(text)
          return await readRaw(socket)
        }),
      )
      for (const answer of answers) expect(answer).not.toContain('200 OK')
      expect(answers).toHaveLength(nonsense.length)
    })
  })
})

describe('a peer that reads nothing', () => {
  it('is served no more than it may have, while others are', async () => {
    await using adversary = await arena.enter()
    const large = blobOf('large', 100)
    await arena.give(large)
    const { lane } = (await arena.holder.status()).listening
    const port = Number(lane[0]?.split(':').at(-1))
    const request = `GET ${formatLaneTarget({ digest: large.digest, registry: arena.live.registry, range: undefined })} HTTP/1.1\r\nhost: lane\r\n\r\n`
    await pullsDuring('slow readers', async () => {
      const sockets: TLSSocket[] = []
      for (let i = 0; i < 20; i++) {
        const socket = await rawLane(port, adversary.lane.certificate)
        socket.write(request)
        sockets.push(socket)
      }
      await vi.waitUntil(() => sockets.some((socket) => socket.readableLength > 0), SOON)
      // each that is one too many is cut off at once
      await vi.waitUntil(() => sockets.filter(({ destroyed }) => !destroyed).length <= 8, SOON)
      expect(sockets.filter(({ destroyed }) => !destroyed).length).toBeGreaterThan(0)
      for (const socket of sockets) socket.destroy()
    })
  })

  it('what it is told over the swarm protocol holds up nobody else', async () => {
    await using adversary = await arena.enter()
    const { libp2p } = adversary.node
    let deaf = 0
    const blob = blobOf('told to the deaf', CHUNKS)
    await arena.give(blob)
    await libp2p.unhandle(SWARM_PROTOCOL)
    await libp2p.handle(SWARM_PROTOCOL, (stream) => {
      stream.pause()
      deaf += 1
    })
    await pullsDuring('deaf', async () => {
      const stream = await openTo(adversary, idAt(0), SWARM_PROTOCOL)
      const pieces = wantAgainAndAgain(blob.digest, arena.live.registry)
      const sent = await flood(stream, pieces, AbortSignal.timeout(FLOOD_MS))
      expect(sent.pieces).toBeGreaterThan(1_000)
      await vi.waitUntil(() => deaf > 0, SOON)
    })
  })
})

describe('a peer that lies about providers', () => {
  it('is not believed about others, and costs no pull more than a moment', async () => {
    await using adversary = await arena.enter()
    await using trap = await openTrap()
    const forged = Array.from({ length: 1_000 }, forgedId)
    const counts = await tellProviders(adversary, [...forged, ...ids], trap.port)
    const blob = blobOf('a thousand providers', CHUNKS)
    await arena.give(blob)
    let taken = 0
    for (const id of ids) taken += await addProviders(adversary, id, blob.digest, forged, trap.port)
    expect(taken).toBe(3_000)
    const pulls = new WatchedPulls()
    const begun = performance.now()
    const takers = arena.fleet.agents.slice(1)
    await Promise.all(takers.map((taker) => pulls.pull(arena.url(taker, blob, 'slow'), blob)))
    expect(performance.now() - begun).toBeLessThan(5_000)
    pulls.check(2)

    const nowhere = blobOf('nowhere', CHUNKS)
    const absent = takers.map((taker) => pulls.pull(arena.url(taker, nowhere, 'slow'), nowhere))
    expect(await Promise.all(absent)).toEqual([false, false])
    expect(counts.asked).toBeGreaterThan(0)
    // 24 in a round, by each of two
    expect(trap.connections).toBeLessThan(2 * 24 * 3)
    await arena.checkNoHonestBanned()
  })

  it('makes an agent take up no more of them than one answer may name', async () => {
    const secret = 'a secret of the test'
    await using node = await startSwarmNode({ keys: [await deriveSwarmKey(secret)] })
    await using adversary = await Adversary.start({ secret, bootstrap: [bootstrapOf(node)] })
    await connectedTo(node, 1)
    const counts = await tellProviders(adversary, Array.from({ length: 1_000 }, forgedId), 9)
    const directory = new DhtProviderDirectory(
      { node, metrics: { lookedUp: () => {}, announced: () => {} }, clock: Date.now, log: silentLog },
      { recordMs: 60_000, settleMs: 0 },
    )
    const found: string[] = []
    const { digest } = blobOf('somewhere', 2)
    await vi.waitFor(async () => {
      for await (const id of directory.find(digest, { signal: AbortSignal.timeout(5_000) })) found.push(id)
      expect(found.length).toBeGreaterThan(0)
    }, SOON)
    expect(counts.asked).toBeGreaterThan(0)
    expect(found.length).toBeLessThanOrEqual(MAX_PROVIDERS_TOLD)
    expect((await node.libp2p.peerStore.all()).length).toBeLessThanOrEqual(MAX_PROVIDERS_TOLD + K + 2)
  })
})
