import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { encode } from 'cborg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DialBack } from '../../../src/swarm/dial-back.ts'
import { createLaneCertificate } from '../../../src/swarm/lane/lane-certificate.ts'
import type { Member } from '../../../src/swarm/swarm-ports.ts'
import { FakeMembers, FakeSwarm } from '../../fakes/fake-members.ts'
import { silentLog } from '../../fakes/silent-log.ts'

const PROTOCOL = '/shoal/dial-back/1'
const certificate = createLaneCertificate('12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X')
const { signal } = new AbortController()

/** A member whose connection comes from this host. */
class LocalMembers extends FakeMembers {
  override get member(): Member {
    return {
      ...super.member,
      address: '127.0.0.1:40000',
      lane: { fingerprint: certificate.fingerprint, addresses: [] },
    }
  }
}

describe('an agent that is dialled back', () => {
  let swarm: FakeSwarm
  let server: Server
  let port: number
  let connections: number
  const all: DialBack[] = []

  beforeEach(async () => {
    swarm = new FakeSwarm()
    connections = 0
    server = createServer((socket) => {
      connections += 1
      socket.on('error', () => {})
      socket.resume()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  })
  afterEach(() => {
    for (const one of all.splice(0)) one.stop()
    server.close()
  })

  function agent(own: { swarm: [string, number][]; lane: [string, number][] }) {
    const { self } = swarm.agent()
    const members = new LocalMembers(swarm, self)
    swarm.agents.set(self, members)
    const toHosts = (list: [string, number][]) => list.map(([host, at]) => ({ host, port: at }))
    const dialBack = new DialBack(
      {
        members,
        certificate,
        own: () => ({ swarm: toHosts(own.swarm), lane: toHosts(own.lane) }),
        clock: () => performance.now(),
        log: silentLog,
      },
      { dialMs: 500, packetsMs: 500 },
    )
    all.push(dialBack)
    return { members, dialBack }
  }

  function pair(own: Parameters<typeof agent>[0]) {
    const asker = agent(own)
    const asked = agent({ swarm: [], lane: [] })
    asker.members.join(asked.members)
    return { asker, asked, ask: () => asker.dialBack.ask(asked.members.self, { signal }) }
  }

  it('hears that it is reached, from where it is seen, and that full packets come through', async () => {
    const { ask, asked } = pair({
      swarm: [
        ['10.9.9.9', 1],
        ['127.0.0.1', port],
      ],
      lane: [],
    })
    expect(await ask()).toEqual({
      peer: asked.members.self,
      observed: '127.0.0.1',
      swarm: 'reached',
      lane: 'none',
      fullPackets: true,
    })
    expect(connections).toBe(1)
  })

  it('hears that nobody listens, and that something else does where its lane should be', async () => {
    server.on('connection', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    const closed = createServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const { port: free } = closed.address() as AddressInfo
    closed.close()
    await once(closed, 'close')
    const { ask } = pair({ swarm: [['127.0.0.1', free]], lane: [['127.0.0.1', port]] })
    expect(await ask()).toMatchObject({ swarm: 'refused', lane: 'other' })
  })

  it('is never dialled where it does not come from', async () => {
    const { ask } = pair({
      swarm: [
        ['127.0.0.2', port],
        ['localhost', port],
      ],
      lane: [['10.1.2.3', port]],
    })
    expect(await ask()).toMatchObject({ swarm: 'elsewhere', lane: 'elsewhere' })
    expect(connections).toBe(0)
  })

  it('is an address of IPv4 that an IPv6 socket shows', async () => {
    const { ask } = pair({ swarm: [['::ffff:127.0.0.1', port]], lane: [] })
    expect(await ask()).toMatchObject({ swarm: 'reached' })
  })

  it('asks too often and is refused', async () => {
    const { ask } = pair({ swarm: [], lane: [] })
    for (let turn = 0; turn < 6; turn++) expect(await ask()).toMatchObject({ swarm: 'none' })
    await expect(ask()).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
  })

  it('hears when small messages come through and full packets do not', async () => {
    const asker = agent({ swarm: [], lane: [] })
    const lossy = swarm.agent()
    lossy.handle(PROTOCOL, (stream) => {
      const messages = lpStream(stream)
      void messages.read().then(() => messages.write(encode({ observed: '10.0.0.1', swarm: 'none', lane: 'none' })))
    })
    asker.members.join(lossy)
    expect(await asker.dialBack.ask(lossy.self, { signal })).toMatchObject({ fullPackets: false })
  })

  it.each([
    ['no CBOR', Buffer.from('hi')],
    ['many addresses', encode({ v: 1, swarm: Array.from({ length: 9 }, () => ['127.0.0.1', 1]), lane: [] })],
    ['a port that is none', encode({ v: 1, swarm: [['127.0.0.1', 70_000]], lane: [] })],
    ['a message of full size', new Uint8Array(60_000)],
    ['a message beyond all bounds', new Uint8Array(100_000)],
  ])('is dropped when it says %s', async (_what, message) => {
    const { asker, asked } = pair({ swarm: [], lane: [] })
    const stream: Stream = await asker.members.openStream(asked.members.self, PROTOCOL, { signal })
    const closed = new Promise((resolve) => {
      stream.addEventListener('close', resolve, { once: true })
    })
    await lpStream(stream).write(message)
    await closed
    expect(connections).toBe(0)
  })

  it('takes a false answer for misbehaviour, and leaves when it is told to', async () => {
    const asker = agent({ swarm: [], lane: [] })
    const liar = swarm.agent()
    liar.handle(
      PROTOCOL,
      (stream) => void lpStream(stream).write(encode({ observed: 'x', swarm: 'fine', lane: 'none' })),
    )
    asker.members.join(liar)
    await expect(asker.dialBack.ask(liar.self, { signal })).rejects.toMatchObject({ code: 'PEER_MISBEHAVED' })
    const mute = swarm.agent()
    mute.handle(PROTOCOL, () => {})
    asker.members.join(mute)
    const leaving = new AbortController()
    const asking = asker.dialBack.ask(mute.self, leaving)
    leaving.abort(new Error('left'))
    await expect(asking).rejects.toThrow('left')
  })
})
