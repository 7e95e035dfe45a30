/** Peers that are not who they say, or do not belong to the swarm, while clients pull. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { createLaneCertificate } from '../../src/swarm/lane/lane-certificate.ts'
import { formatLaneTarget } from '../../src/swarm/lane/lane-protocol.ts'
import { Adversary } from '../fixtures/adversary/adversary.ts'
import { Arena } from '../fixtures/adversary/arena.ts'
import { blobOf, falsified } from '../fixtures/adversary/false-blob.ts'
import { gives } from '../fixtures/adversary/lane-scripts.ts'
import { bansOf, CHUNKS } from '../fixtures/adversary/trial.ts'
import { WatchedPulls } from '../fixtures/adversary/watched-pulls.ts'
import { rawLane, readRaw } from '../fixtures/scripted-lane.ts'

const SOON = { timeout: 15_000, interval: 20 }

let arena: Arena
let bootstrap: string[]

beforeAll(async () => {
  arena = await Arena.start({ honest: 3 })
  bootstrap = (await arena.holder.status()).listening.swarm.slice(0, 1)
})
afterAll(() => arena[Symbol.asyncDispose]())

/** The two that do not hold it pull a new blob. */
async function pull(name: string): Promise<void> {
  const blob = blobOf(name, CHUNKS)
  await arena.give(blob)
  const pulls = new WatchedPulls()
  const takers = arena.fleet.agents.slice(1)
  await Promise.all(takers.map((taker) => pulls.pull(arena.url(taker, blob, 'slow'), blob)))
  pulls.check(takers.length)
  await arena.checkNoHonestBanned()
}

async function isKnown(id: string): Promise<boolean> {
  const answers = await Promise.all(arena.fleet.agents.map((agent) => agent.peers()))
  return answers.some(({ peers }) => peers.some((peer) => peer.id === id))
}

it('a peer with the wrong secret gets in nowhere, however often it tries', async () => {
  await using stranger = await Adversary.start({ secret: 'another secret than that one', bootstrap })
  const dials = Array.from({ length: 30 }, async () => {
    const [host, port] = (bootstrap[0] ?? '').split(':')
    const socket = connect({ host: host ?? '', port: Number(port) }).on('error', () => undefined)
    socket.write(Buffer.alloc(1_000, 0x13))
    socket.resume()
    await isClosed(socket)
  })
  await pull('wrong secret')
  await Promise.all(dials)
  await vi.waitUntil(() => stranger.node.refusals['secret-refused'] > 0, SOON)
  expect(stranger.node.connected.size).toBe(0)
  expect(await isKnown(stranger.id)).toBe(false)
})

it('a handshake that is played again opens nothing', async () => {
  await using tap = await openTap(bootstrap[0] ?? '')
  {
    await using member = await Adversary.start({ secret: arena.fleet.secret, bootstrap: [tap.address] })
    await member.isMet([arena.holder])
  }
  expect(tap.recorded.length).toBeGreaterThan(2)
  const [host, port] = (bootstrap[0] ?? '').split(':')
  const socket = connect({ host: host ?? '', port: Number(port) }).on('error', () => undefined)
  socket.resume()
  for (const piece of tap.recorded) socket.write(piece)
  await Promise.all([isClosed(socket), pull('replayed')])
  await vi.waitFor(async () => expect((await arena.holder.status()).swarm?.connected).toBe(2), SOON)
})

it('a lane that shows another certificate than was told is asked for nothing', async () => {
  const told = createLaneCertificate().fingerprint
  await using adversary = await arena.enter({ told: (own) => ({ ...own, fingerprint: told }) })
  const blob = blobOf('another certificate', CHUNKS)
  await arena.give(blob)
  await adversary.offer({ blob, states: 'map', hashes: blob.hashes, gives: gives(falsified(blob, [0, 1, 2]).bytes) })
  const pulls = new WatchedPulls()
  const takers = arena.fleet.agents.slice(1)
  await Promise.all(takers.map((taker) => pulls.pull(arena.url(taker, blob, 'slower'), blob)))
  pulls.check(2)
  expect(adversary.wantedBy(blob.digest)).toBeGreaterThanOrEqual(2)
  // streams carry its own identity: what comes over them is its own fault
  expect(adversary.lane.requestsOver.lane).toBe(0)
  await arena.checkNoHonestBanned()
})

it('a peer that tells the certificate of an honest one as its own harms neither that one nor who asks', async () => {
  const holderId = (await arena.holder.status()).swarm?.id ?? ''
  await using spy = await arena.enter()
  const stolen = spy.node.connected.get(holderId)?.lane
  const address = stolen?.addresses[0]
  if (stolen === undefined || address === undefined) throw new Error('the holder told no lane')
  await using adversary = await arena.enter({
    told: () => ({ fingerprint: stolen.fingerprint, port: address.port, hosts: [address.host] }),
  })
  const blob = blobOf('stolen certificate', CHUNKS)
  await arena.give(blob)
  const { hashes, bytes } = falsified(blob, [0, 1, 2, 3, 4, 5])
  await adversary.offer({ blob, states: 'map', hashes, gives: gives(bytes) })
  const pulls = new WatchedPulls()
  const takers = arena.fleet.agents.slice(1)
  await Promise.all(takers.map((taker) => pulls.pull(arena.url(taker, blob, 'slower'), blob)))
  pulls.check(2)
  await bansOf(arena, adversary.id, [0, 1, 2])
  await arena.checkNoHonestBanned()
  // the holder is still served over its lane, by agents that have shut the thief out
  const [before, own] = [await arena.fleet.at(1).status(), blobOf('for the holder', CHUNKS)]
  arena.live.addBlob(own.bytes)
  await pulls.pull(arena.fleet.at(1).url(`/v2/fast/blobs/${own.digest}`), own)
  await arena.fleet.at(1).idle()
  await pulls.pull(arena.url(arena.holder, own, 'slower'), own)
  pulls.check(4)
  const after = await arena.fleet.at(1).status()
  expect(after.traffic.toPeers).toBeGreaterThan(before.traffic.toPeers)
})

it('a lane is closed to who shows a certificate that no member told, or that of one that is shut out', async () => {
  await using adversary = await arena.enter()
  const blob = blobOf('for no stranger', CHUNKS)
  await arena.give(blob)
  const port = Number((await arena.holder.status()).listening.lane[0]?.split(':').at(-1))
  const target = formatLaneTarget({ digest: blob.digest, registry: arena.live.registry, range: undefined })
  const request = `GET ${target} HTTP/1.1\r\nhost: lane\r\n\r\n`
  const ask = async (certificate: Parameters<typeof rawLane>[1], enough: number): Promise<string> => {
    const socket = await rawLane(port, certificate)
    socket.write(request)
    const answer = await readRaw(socket, enough)
    socket.destroy()
    return answer
  }
  expect(await ask(createLaneCertificate(), 1)).toBe('')
  expect(await ask(undefined, 1)).toBe('')
  // this one is a member, and is served until it has lied
  expect(await ask(adversary.lane.certificate, 10)).toMatch(/^HTTP\/1.1 200/)
  const { hashes, bytes } = falsified(blob, [2])
  await adversary.offer({ blob, states: 'map', hashes, gives: gives(bytes) })
  const pulls = new WatchedPulls()
  await pulls.pull(arena.url(arena.fleet.at(1), blob, 'slower'), blob)
  pulls.check(1)
  await bansOf(arena, adversary.id, [0])
  expect(await ask(adversary.lane.certificate, 1)).toBe('')
})

async function isClosed(socket: Socket): Promise<void> {
  await new Promise((resolve) => socket.once('close', resolve))
}

interface Tap extends AsyncDisposable {
  /** `host:port` */
  readonly address: string
  /** What went to the target. */
  readonly recorded: Buffer[]
}

/** Passes connections on to the target and records the first one. */
async function openTap(target: string): Promise<Tap> {
  const [host, port] = target.split(':')
  const recorded: Buffer[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer((near) => {
    connections += 1
    const isFirst = connections === 1
    const far = connect({ host: host ?? '', port: Number(port) })
    for (const socket of [near, far]) sockets.add(socket.on('error', () => undefined))
    near.on('data', (piece: Buffer) => {
      if (isFirst) recorded.push(piece)
    })
    near.pipe(far).pipe(near)
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    recorded,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
