import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { noise } from '@chainsafe/libp2p-noise'
import type { ConnectionEncrypter, SecuredConnection } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { byteStream, lpStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2p } from 'libp2p'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { hasCode } from '../../src/errors.ts'
import { ephemeralIdentity } from '../../src/swarm/membership/identity.ts'
import { KnownPeers } from '../../src/swarm/node/known-peers.ts'
import type { SwarmNode } from '../../src/swarm/node/swarm-node.ts'
import { recordingLog, silentLog } from '../fakes/silent-log.ts'
import {
  bootstrapOf,
  connectedTo,
  createSwarmNode,
  disconnectedFrom,
  startSwarm,
  startSwarmNode,
} from '../fixtures/swarm-nodes.ts'

const OTHER_KEY = Buffer.alloc(32, 9)
const { signal } = new AbortController()

let stack = new AsyncDisposableStack()

afterEach(async () => {
  await stack.disposeAsync()
  stack = new AsyncDisposableStack()
})

async function node(options: Parameters<typeof startSwarmNode>[0] = {}): Promise<SwarmNode> {
  return stack.use(await startSwarmNode(options))
}

/** Turned away at least once, for this reason. */
async function refused(of: SwarmNode, why: keyof SwarmNode['refusals']): Promise<void> {
  await vi.waitUntil(() => of.refusals[why] > 0, { timeout: 10_000, interval: 10 })
}

async function multiaddrOf(of: SwarmNode): Promise<Parameters<Libp2p['dial']>[0]> {
  const [address] = of.libp2p.getMultiaddrs()
  if (address === undefined) throw new Error('no address')
  return address
}

describe('agents of one swarm', () => {
  it('find each other, all of them, through one they all know', async () => {
    const { nodes } = stack.use(await startSwarm(8))
    for (const one of nodes)
      expect([...one.connected.keys(), one.self].sort()).toEqual(nodes.map(({ self }) => self).sort())
  })

  it('find each other in whatever order they start', async () => {
    const placeholder = createServer().listen(0, '127.0.0.1')
    await once(placeholder, 'listening')
    const { port } = placeholder.address() as AddressInfo
    placeholder.close()
    await once(placeholder, 'close')

    const early = await Promise.all([1, 2, 3].map(() => node({ bootstrap: [`127.0.0.1:${port}`] })))
    await vi.waitUntil(() => early.every(({ connected }) => connected.size === 0))
    const late = await node({ listen: { host: '127.0.0.1', port } })
    await Promise.all([...early, late].map((one) => connectedTo(one, 3)))
    expect(late.connected.size).toBe(3)
  })

  it('find each other through a name, by all of its records', async () => {
    const target = await node()
    const [address] = target.addresses
    const resolved: string[] = []
    const seeker = await node({
      bootstrap: [`shoal.fleet.example:${address?.port}`],
      resolve: async (name) => {
        resolved.push(name)
        return ['127.0.0.9', '127.0.0.8', '127.0.0.1']
      },
    })
    await connectedTo(seeker, 1)
    expect(seeker.connected.has(target.self)).toBe(true)
    expect(resolved[0]).toBe('shoal.fleet.example')
  })

  it('find the peers of the last run again when nobody is configured', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'shoal-known-'))
    stack.defer(() => rm(dir, { recursive: true }))
    const path = join(dir, 'peers.json')
    const knownPeers = (): KnownPeers => new KnownPeers({ log: silentLog }, { path, saveMs: 1 })
    const target = await node()
    const identity = await ephemeralIdentity()
    const before = await startSwarmNode({ identity, bootstrap: [bootstrapOf(target)], knownPeers: knownPeers() })
    await connectedTo(before, 1)
    await vi.waitUntil(async () => (await readFile(path, 'utf8').catch(() => '')).includes(target.self))
    await before.stop()
    await disconnectedFrom(target, before.self)

    const after = await node({ identity, knownPeers: knownPeers() })
    await connectedTo(after, 1)
    expect(after.self).toBe(before.self)
    expect(after.connected.has(target.self)).toBe(true)
  })

  it('learn of each other what the handshake tells', async () => {
    const fingerprint = 'ab'.repeat(32)
    const a = await node({ zone: 'rack 1', version: '9.9', ownLane: () => ({ fingerprint, port: 7, hosts: [] }) })
    const b = await node({ bootstrap: [bootstrapOf(a)] })
    await Promise.all([connectedTo(a, 1), connectedTo(b, 1)])
    expect(b.connected.get(a.self)).toMatchObject({
      zone: 'rack 1',
      version: '9.9',
      lane: { fingerprint, addresses: [{ host: '127.0.0.1', port: 7 }] },
    })
    expect(b.byFingerprint(fingerprint)?.id).toBe(a.self)
    expect(a.connected.get(b.self)?.lane).toBeUndefined()
    expect(Math.abs(b.connected.get(a.self)?.clockOffsetMs ?? Number.NaN)).toBeLessThan(5_000)
  })

  it('talk over streams of their own protocols', async () => {
    const a = await node({
      prepare: (created) =>
        created.handle('/test/1', (stream, member) => {
          stream.send(Buffer.from(`hello ${member.id}`))
          void stream.close()
        }),
    })
    const b = await node({ bootstrap: [bootstrapOf(a)] })
    await Promise.all([connectedTo(a, 1), connectedTo(b, 1)])
    const stream = await b.openStream(a.self, '/test/1', { signal })
    const expected = `hello ${b.self}`
    const said = await byteStream(stream).read({ bytes: expected.length })
    expect(Buffer.from(said.subarray()).toString()).toBe(expected)
    await expect(b.openStream(a.self, '/unknown/1', { signal })).rejects.toThrow(
      expect.objectContaining({ code: 'PEER_UNAVAILABLE' }),
    )
  })

  it('know each other by signature', async () => {
    const [a, b] = [await node(), await node()]
    const bytes = Buffer.from('statement')
    const signature = await a.sign(bytes)
    expect(await b.verify(a.self, bytes, signature)).toBe(true)
    expect(await b.verify(b.self, bytes, signature)).toBe(false)
    expect(await b.verify(a.self, Buffer.from('another'), signature)).toBe(false)
    expect(await b.verify('nobody', bytes, signature)).toBe(false)
    expect(await b.verify(a.self, bytes, new Uint8Array(3))).toBe(false)
  })

  it('connect anew after a connection was lost', async () => {
    const a = await node()
    const b = await node({ bootstrap: [bootstrapOf(a)] })
    await Promise.all([connectedTo(a, 1), connectedTo(b, 1)])
    await a.disconnect(b.self)
    await disconnectedFrom(b, a.self)
    await connectedTo(b, 1)
    expect(b.connected.has(a.self)).toBe(true)
  })

  it('keep one connection with each other, also when both dial at once', async () => {
    const nodes = await Promise.all([node(), node()])
    const [a, b] = nodes
    await Promise.all([a.libp2p.dial(await multiaddrOf(b)), b.libp2p.dial(await multiaddrOf(a))])
    await vi.waitUntil(() => nodes.every(({ libp2p }) => libp2p.getConnections().length === 1), { timeout: 10_000 })
    expect(a.connected.size).toBe(1)
  })

  it('start at once behind one address, however many, and none is turned away', async () => {
    // whoever is turned away does not come again within this test
    const timing = { bootstrapMinMs: 60_000, bootstrapMaxMs: 60_000, askMs: 60_000, dialMs: 25_000, helloMs: 25_000 }
    const first = await node({ timing })
    const nodes = await Promise.all(
      Array.from({ length: 20 }, () => createSwarmNode({ timing, bootstrap: [bootstrapOf(first)] })),
    )
    for (const one of nodes) stack.defer(() => one.stop())
    await Promise.all(nodes.map((one) => one.start()))
    await connectedTo(first, 20, 25_000)
    expect([...first.connected.keys()].sort()).toEqual(nodes.map(({ self }) => self).sort())
  })
})

describe('who may be a member', () => {
  it('is nobody with another secret: no connection, no route, no stream', async () => {
    const member = await node({ prepare: (created) => created.handle('/test/1', () => expect.unreachable()) })
    const stranger = await node({ keys: [OTHER_KEY] })
    await expect(stranger.libp2p.dial(await multiaddrOf(member))).rejects.toThrow()
    await refused(member, 'wrong-secret')
    await expect(stranger.libp2p.dialProtocol(await multiaddrOf(member), '/test/1')).rejects.toThrow()
    await expect(member.libp2p.dial(await multiaddrOf(stranger))).rejects.toThrow()
    for (const one of [member, stranger]) {
      expect(one.connected.size).toBe(0)
      expect(one.libp2p.getConnections()).toEqual([])
      expect(routesOf(one)).toBe(0)
    }
  })

  it('tells both operators when the secrets differ, once', async () => {
    const [told, alsoTold] = [recordingLog(), recordingLog()]
    const member = await node({ log: told.log })
    const stranger = await node({ keys: [OTHER_KEY], log: alsoTold.log })
    const [address] = member.addresses
    for (let time = 0; time < 3; time++) {
      await expect(stranger.libp2p.dial(await multiaddrOf(member))).rejects.toThrow()
    }
    await vi.waitUntil(() => member.refusals['wrong-secret'] === 3 && stranger.refusals['secret-refused'] === 3)
    const warnings = ({ entries }: typeof told) => entries.filter(({ level }) => level === 'warn')
    expect(warnings(told)).toMatchObject([
      { fields: { address: '127.0.0.1' }, message: expect.stringMatching(/^an agent was turned away: .*secret/) },
    ])
    expect(warnings(alsoTold)).toMatchObject([
      {
        fields: { address: `127.0.0.1:${address?.port}` },
        message: expect.stringMatching(/^an agent turned this one away: .*secret/),
      },
    ])
  })

  it('tells whoever is not on the list that it was turned away', async () => {
    const { log, entries } = recordingLog()
    const member = await node({ allowPeers: ['12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X'] })
    const stranger = await node({ log })
    await expect(stranger.libp2p.dial(await multiaddrOf(member))).rejects.toThrow()
    await refused(stranger, 'id-refused')
    const warning = { level: 'warn', message: expect.stringContaining('swarm.allowPeers') }
    expect(entries).toContainEqual(expect.objectContaining(warning))
  })

  it('is nobody who speaks plain libp2p', async () => {
    const member = await node()
    const plain = await createLibp2p({ transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()] })
    stack.defer(() => plain.stop())
    await expect(plain.dial(await multiaddrOf(member))).rejects.toThrow()
    expect(plain.getConnections()).toEqual([])
    expect(member.libp2p.getConnections()).toEqual([])
  })

  it('is nobody who is not on the list, in either direction', async () => {
    const [ally, stranger] = [await ephemeralIdentity(), await ephemeralIdentity()]
    const friend = await node({ identity: ally })
    const other = await node({ identity: stranger })
    const member = await node({ allowPeers: [friend.self] })
    await friend.libp2p.dial(await multiaddrOf(member))
    await expect(other.libp2p.dial(await multiaddrOf(member))).rejects.toThrow()
    await refused(member, 'not-allowed')
    await expect(member.libp2p.dial(await multiaddrOf(other))).rejects.toThrow()
    await connectedTo(member, 1)
    expect([...member.connected.keys()]).toEqual([friend.self])
    expect(other.connected.size).toBe(0)
  })

  it('is nobody who is banned, from the moment on', async () => {
    const banned = new Set<string>()
    const member = await node({ isBanned: (id) => banned.has(id) })
    const liar = await node({ bootstrap: [bootstrapOf(member)] })
    await connectedTo(member, 1)
    banned.add(liar.self)
    await member.disconnect(liar.self)
    await disconnectedFrom(member, liar.self)
    await refused(member, 'not-allowed')
    expect(member.connected.size).toBe(0)
    const failure = await member.connect(liar.self, { signal }).catch((error: unknown) => error)
    expect(hasCode(failure, 'PEER_UNAVAILABLE')).toBe(true)
  })

  it('is whoever comes where the swarm is open', async () => {
    const a = await node({ keys: [], open: true })
    const b = await node({ keys: [], open: true, bootstrap: [bootstrapOf(a)] })
    await connectedTo(b, 1)
    expect(b.connected.has(a.self)).toBe(true)
  })

  it('is nobody beyond this host without a secret, a list or a swarm that is open', async () => {
    const { log, entries } = recordingLog()
    const alone = await node({ keys: [], listen: { host: '0.0.0.0', port: 0 }, log })
    expect(alone.addresses).toEqual([{ host: '127.0.0.1', port: expect.any(Number) }])
    expect(entries.filter(({ level }) => level === 'warn')).toHaveLength(1)
    const address = Object.values(networkInterfaces())
      .flat()
      .find((found) => found?.family === 'IPv4' && !found.internal)?.address
    if (address === undefined) return
    const socket = connect({ host: address, port: alone.addresses[0]?.port ?? 0 })
    await expect(once(socket, 'connect')).rejects.toThrow('ECONNREFUSED')
  })
})

describe('whoever dials a member', () => {
  it('goes to nobody beyond this host without a secret, a list or a swarm that is open', async () => {
    const local = await node({ keys: [] })
    for (const host of ['ip4/192.0.2.1', 'ip6/2001:db8::1', 'ip6/::ffff:7f00:1']) {
      const dial = local.libp2p.dial(multiaddr(`/${host}/tcp/5051`), { signal: AbortSignal.timeout(1_000) })
      await expect(dial).rejects.toMatchObject({ name: 'DialDeniedError' })
    }
    const other = await node({ keys: [], bootstrap: [bootstrapOf(local)] })
    await connectedTo(other, 1)
  })

  it('is cut off when it plays a recorded handshake again', async () => {
    const member = await node()
    const [target] = member.addresses
    const recorded: Buffer[] = []
    const tap = await recorder(target?.port ?? 0, (piece) => recorded.push(piece))
    const friend = await startSwarmNode({ bootstrap: [`127.0.0.1:${tap.port}`] })
    await connectedTo(member, 1)
    await friend.stop()
    await disconnectedFrom(member, friend.self)

    const socket = connect({ host: '127.0.0.1', port: target?.port ?? 0 })
    socket.on('error', () => {}).resume()
    for (const piece of recorded) socket.write(piece)
    await closed(socket)
    expect(member.connected.size).toBe(0)
    expect(member.libp2p.getConnections()).toEqual([])
  })

  it('is cut off when it says nothing', async () => {
    const member = await node({ timing: { helloMs: 200 } })
    const socket = connect({ host: '127.0.0.1', port: member.addresses[0]?.port ?? 0 })
    socket.on('error', () => {}).resume()
    await closed(socket)
    expect(member.connected.size).toBe(0)
  })

  it.each([
    ['sends nothing after noise', undefined, 'failed'],
    ['sends a hello that is no CBOR', Buffer.alloc(200, 0xff), 'malformed'],
    ['sends an empty hello', Buffer.alloc(0), 'malformed'],
    ['sends half a hello', 'half', 'failed'],
    ['announces a huge hello', 'huge', 'failed'],
  ] as const)('is cut off when it %s', async (_, hello, why) => {
    const member = await node({ timing: { helloMs: 300 } })
    const heard: Uint8Array[] = []
    const intruder = await intruderWho(async (channel) => {
      if (hello === 'half') channel.send(Buffer.concat([Buffer.from([1, 0]), randomBytes(100)]))
      else if (hello === 'huge') channel.send(Buffer.concat([Buffer.from([0xff, 0xff]), randomBytes(60_000)]))
      else if (hello !== undefined)
        channel.send(Buffer.concat([Buffer.from([hello.length >> 8, hello.length & 255]), hello]))
      for await (const piece of channel) heard.push(piece.subarray())
    })
    await expect(intruder.dial(await multiaddrOf(member))).rejects.toThrow()
    await refused(member, why)
    // its hello, and no proof
    expect(Buffer.concat(heard).length).toBeLessThan(300)
    expect(member.libp2p.getConnections()).toEqual([])
  })

  it('learns no proof before it has given one', async () => {
    const member = await node({ timing: { helloMs: 500 } })
    const messages: number[] = []
    const intruder = await intruderWho(async (channel) => {
      const messagesOf = lpStream(channel, {
        lengthEncoder: (length) => Uint8Array.of(length >> 8, length & 255),
        lengthDecoder: (bytes) => {
          if (bytes.byteLength < 2) throw new RangeError()
          return bytes.get(0) * 256 + bytes.get(1)
        },
        maxLengthLength: 2,
      })
      const theirs = await messagesOf.read()
      await messagesOf.write(theirs)
      await messagesOf.write(randomBytes(32))
      for (;;) {
        messages.push(theirs.byteLength)
        await messagesOf.read()
      }
    })
    await expect(intruder.dial(await multiaddrOf(member))).rejects.toThrow()
    await refused(member, 'wrong-secret')
    expect(messages).toHaveLength(1)
  })
})

describe('stopping', () => {
  it('ends everything that was opened, also in the middle of things', async () => {
    const first = await startSwarmNode()
    const others = await Promise.all([1, 2, 3].map(() => startSwarmNode({ bootstrap: [bootstrapOf(first)] })))
    await connectedTo(first, 1)
    await Promise.all([first, ...others].map((one) => one.stop()))
    await vi.waitUntil(() => openSockets() === 0, { timeout: 5_000 })
    await expect(first.connect(others[0]?.self ?? '', { signal })).rejects.toThrow()
  })

  it('does nothing the second time, and before the start', async () => {
    const never = await createSwarmNode()
    await expect(never.stop()).resolves.toBeUndefined()
    const started = await startSwarmNode()
    await started.stop()
    await expect(started.stop()).resolves.toBeUndefined()
  })

  it('gives the address back when it is taken', async () => {
    const a = await node()
    const taken = await createSwarmNode({ listen: { host: '127.0.0.1', port: a.addresses[0]?.port ?? 0 } })
    await expect(taken.start()).rejects.toThrow()
    await taken.stop()
  })
})

function routesOf(of: SwarmNode): number {
  const { dht } = of.libp2p.services
  return 'routingTable' in dht ? (dht.routingTable as { size: number }).size : Number.NaN
}

async function closed(socket: Socket): Promise<void> {
  await new Promise((resolve) => socket.once('close', resolve))
}

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => /TCP|Connect/.test(kind)).length
}

/** Passes bytes on to `port` and shows those that go there. */
async function recorder(port: number, onBytes: (piece: Buffer) => void): Promise<{ port: number }> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    const onward = connect({ host: '127.0.0.1', port })
    for (const end of [socket, onward]) sockets.add(end.on('error', () => {}))
    socket.on('data', onBytes).pipe(onward).pipe(socket)
    socket.on('close', () => onward.destroy())
    onward.on('close', () => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stack.defer(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port }
}

/** Knows the protocol up to noise, and then does as it likes. */
async function intruderWho(acts: (channel: SecuredConnection['connection']) => Promise<void>): Promise<Libp2p> {
  const libp2p = await createLibp2p({
    transports: [tcp()],
    streamMuxers: [yamux()],
    connectionEncrypters: [
      (components): ConnectionEncrypter => {
        const channel = noise()(components)
        return {
          protocol: '/shoal/noise/1',
          secureInbound: (raw, options) => channel.secureInbound(raw, options),
          secureOutbound: async (raw, options) => {
            const secured = await channel.secureOutbound(raw, options)
            await acts(secured.connection)
            throw new Error('the other side is gone')
          },
        }
      },
    ],
  })
  stack.defer(() => libp2p.stop())
  return libp2p
}
