import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { frame } from '../../../../src/swarm/encoding/frames.ts'
import { SESSION_LIMITS, SWARM_PROTOCOL, SwarmProtocol } from '../../../../src/swarm/protocol/swarm-protocol.ts'
import { encodeMessage, type WireMessage } from '../../../../src/swarm/protocol/wire-messages.ts'
import { noSwarmMetrics } from '../../../../src/swarm/swarm-metrics.ts'
import { PeerLedger } from '../../../../src/swarm/trust/peer-ledger.ts'
import { TestBlob } from '../../../fakes/fake-content.ts'
import { type FakeMembers, FakeSwarm } from '../../../fakes/fake-members.ts'
import { silentLog } from '../../../fakes/silent-log.ts'

const { digest } = new TestBlob(Buffer.from('x'))
const want: WireMessage = { type: 'want', digest, registry: 'r' }
const soon = { timeout: 3_000, interval: 2 }

interface End {
  readonly members: FakeMembers
  readonly ledger: PeerLedger
  readonly protocol: SwarmProtocol
  readonly got: WireMessage[]
  readonly events: string[]
  /** Messages are dealt with when this resolves. */
  gate: Promise<void>
}

describe('the swarm protocol', () => {
  let swarm: FakeSwarm
  const ends: End[] = []
  beforeEach(() => {
    swarm = new FakeSwarm()
  })
  afterEach(() => {
    for (const { protocol } of ends.splice(0)) protocol.stop()
  })

  function end(limits: Partial<typeof SESSION_LIMITS> = {}): End {
    const members = swarm.agent()
    const ledger = new PeerLedger({ clock: Date.now, log: silentLog, metrics: noSwarmMetrics }, { file: undefined })
    const protocol = new SwarmProtocol(
      { members, ledger, metrics: noSwarmMetrics, clock: Date.now, log: silentLog },
      { limits: { ...SESSION_LIMITS, retryMs: 5, ...limits } },
    )
    const made: End = { members, ledger, protocol, got: [], events: [], gate: Promise.resolve() }
    protocol.start({
      message: async (_peer, message) => {
        await made.gate
        made.got.push(message)
      },
      lost: () => made.events.push('lost'),
      resync: () => made.events.push('resync'),
    })
    ends.push(made)
    return made
  }

  function pair(limits: Partial<typeof SESSION_LIMITS> = {}): [End, End] {
    const [a, b] = [end(limits), end(limits)]
    a.members.join(b.members)
    return [a, b]
  }

  const open = (from: End, to: End) =>
    from.members.openStream(to.members.self, SWARM_PROTOCOL, { signal: AbortSignal.timeout(1_000) })

  it('blames nobody for the rest of a message that it does not read itself', async () => {
    const [a, b] = pair({ messageMs: 60 })
    const late = end()
    late.members.join(b.members)
    const gate = Promise.withResolvers<void>()
    b.gate = gate.promise
    const framed = frame(encodeMessage(want))
    const stream = await open(a, b)
    stream.send(Buffer.concat([...Array.from({ length: 40 }, () => framed), framed.subarray(0, 9)]))
    await new Promise(setImmediate)
    ;(await open(late, b)).send(framed.subarray(0, 9))
    await vi.waitFor(() => expect(b.ledger.standing(late.members.self)).toMatchObject({ abuses: 1 }), soon)
    expect(b.ledger.standing(a.members.self)?.abuses ?? 0).toBe(0)
    gate.resolve()
    stream.send(framed.subarray(9))
    await vi.waitFor(() => expect(b.got).toHaveLength(41), soon)
  })

  it('carries messages both ways, in order, on one stream for each direction', async () => {
    const [a, b] = pair()
    const opened = vi.spyOn(a.members, 'openStream')
    for (let id = 0; id < 50; id++)
      a.protocol.send(b.members.self, { type: 'told', id, record: undefined, admittedAt: id, isLinked: false })
    b.protocol.send(a.members.self, want)
    await vi.waitFor(() => expect([a.got.length, b.got.length]).toEqual([1, 50]), soon)
    expect(b.got.map((message) => message.type === 'told' && message.id)).toEqual(
      Array.from({ length: 50 }, (_, id) => id),
    )
    expect(opened).toHaveBeenCalledTimes(1)
  })

  it('sends nothing to strangers and to who is shut out', () => {
    const [a, b] = pair()
    expect(a.protocol.send('somebody', want)).toBe(false)
    a.ledger.ban(b.members.self, 'protocol')
    expect(a.protocol.send(b.members.self, want)).toBe(false)
  })

  it.each<[string, Uint8Array]>([
    ['garbage', frame(Uint8Array.from([0xff, 0x00]))],
    ['an empty message', frame(new Uint8Array())],
    ['a length of 4 GiB', Uint8Array.from([0xff, 0xff, 0xff, 0xff])],
    ['a length just above the bound', Uint8Array.from([0x00, 0x10, 0x00, 0x01])],
  ])('closes the stream of a peer that sends %s, and shuts it out the third time', async (_what, bytes) => {
    const [a, b] = pair()
    for (let turn = 1; turn <= 3; turn++) {
      const stream = await open(a, b)
      stream.send(bytes)
      await vi.waitFor(() => expect(stream.status).not.toBe('open'), soon)
      expect(b.ledger.standing(a.members.self)).toMatchObject({ abuses: turn })
      expect(b.ledger.isBanned(a.members.self)).toBe(turn === 3)
    }
    const refused = await open(a, b)
    await vi.waitFor(() => expect(refused.status).not.toBe('open'), soon)
    expect(b.got).toEqual([])
  })

  it('closes the stream of a peer whose message does not end in time, however it drips', async () => {
    const [a, b] = pair({ messageMs: 60 })
    const stream = await open(a, b)
    stream.send(Uint8Array.from([0, 0, 1, 0]))
    const drip = setInterval(() => {
      if (stream.status === 'open') stream.send(Uint8Array.from([1]))
    }, 5)
    await vi.waitFor(() => expect(stream.status).not.toBe('open'), soon)
    clearInterval(drip)
    expect(b.ledger.standing(a.members.self)).toMatchObject({ abuses: 1 })
  })

  it('reads a flood no faster than allowed, and loses nothing of it', async () => {
    const [a, b] = pair({ messagesPerSecond: 100 })
    const stream = await open(a, b)
    const bytes = frame(encodeMessage(want))
    stream.send(Buffer.concat(Array.from({ length: 400 }, () => bytes)))
    await vi.waitFor(() => expect(b.got).toHaveLength(400), soon)
    const before = performance.now()
    stream.send(Buffer.concat(Array.from({ length: 40 }, () => bytes)))
    await vi.waitFor(() => expect(b.got).toHaveLength(440), soon)
    stream.send(bytes)
    await vi.waitFor(() => expect(b.got).toHaveLength(441), soon)
    // 40 more than the burst take 0.4 s, less what was earned meanwhile
    expect(performance.now() - before).toBeGreaterThan(200)
    expect(stream.status).toBe('open')
    expect(b.ledger.standing(a.members.self)).toBeUndefined()
  })

  it('stops reading while messages wait to be dealt with', async () => {
    const [a, b] = pair()
    const gate = Promise.withResolvers<void>()
    b.gate = gate.promise
    const stream = await open(a, b)
    const bytes = frame(encodeMessage(want))
    for (let count = 0; count < 500; count++) stream.send(bytes)
    await vi.waitFor(() => expect(b.members.incoming(a.members.self)[0]?.readStatus).toBe('paused'), soon)
    gate.resolve()
    await vi.waitFor(() => expect(b.got).toHaveLength(500), soon)
  })

  it('drops what a peer does not take, within bounds, and tries again later', async () => {
    const [a, b] = pair({ maxQueuedBytes: 64 * 1024 })
    const hanging = Promise.withResolvers<never>()
    const opening = vi.spyOn(a.members, 'openStream').mockImplementationOnce(() => hanging.promise)
    const big: WireMessage = { type: 'ban', proof: new Uint8Array(10_000) }
    const sent = Array.from({ length: 20 }, () => a.protocol.send(b.members.self, big))
    expect(sent.filter((isSent) => isSent)).toHaveLength(6)
    expect(a.events).toEqual(['lost'])
    await vi.waitFor(() => expect(a.events).toEqual(['lost', 'resync']), soon)
    opening.mockRestore()
    expect(a.protocol.send(b.members.self, want)).toBe(true)
    await vi.waitFor(() => expect(b.got).toEqual([want]), soon)
    hanging.reject(new Error('late'))
  })

  it('gives up a stream that the peer reads nothing from', async () => {
    const [a, b] = pair({ stallMs: 40 })
    a.protocol.send(b.members.self, want)
    await vi.waitFor(() => expect(b.got).toHaveLength(1), soon)
    const [stream] = a.members.outgoing(b.members.self)
    if (stream === undefined) throw new Error('no stream')
    vi.spyOn(stream, 'writeBufferLength', 'get').mockReturnValue(100)
    a.protocol.send(b.members.self, want)
    await vi.waitFor(() => expect(a.events).toEqual(['lost', 'resync']), soon)
    expect(stream.status).toBe('aborted')
  })

  it('sends what has time with the next message, or by itself after a while, and nothing out of turn', async () => {
    const unwant: WireMessage = { ...want, type: 'unwant' }
    const [a, b] = pair({ laterMs: 60_000 })
    expect(a.protocol.send(b.members.self, unwant)).toBe(true)
    expect(a.members.outgoing(b.members.self)).toEqual([])
    a.protocol.send(b.members.self, want)
    await vi.waitFor(() => expect(b.got).toEqual([unwant, want]), soon)
    const [c, d] = pair({ laterMs: 5 })
    c.protocol.send(d.members.self, unwant)
    await vi.waitFor(() => expect(d.got).toEqual([unwant]), soon)
  })

  it('reads from the newest stream only when a peer opens several', async () => {
    const [a, b] = pair()
    const streams = [await open(a, b), await open(a, b), await open(a, b)]
    await vi.waitFor(() => expect(streams.map(({ status }) => status === 'open')).toEqual([false, false, true]), soon)
    streams[2]?.send(frame(encodeMessage(want)))
    await vi.waitFor(() => expect(b.got).toHaveLength(1), soon)
    expect(b.ledger.standing(a.members.self)).toBeUndefined()
  })

  it('waits longer after each loss', async () => {
    const [a, b] = pair({ retryMs: 2 })
    b.members.handlers.clear()
    const opened = vi.spyOn(a.members, 'openStream')
    const resend = setInterval(() => a.protocol.send(b.members.self, want), 1)
    await vi.waitFor(() => expect(a.events.filter((event) => event === 'lost')).toHaveLength(5), soon)
    clearInterval(resend)
    // 2 + 4 + 8 + 16 ms of waiting lie between five tries, one each
    expect(opened.mock.calls.length).toBeLessThanOrEqual(6)
  })

  it('lets go of everything of a peer that leaves, and at its stop', async () => {
    const [a, b] = pair()
    a.protocol.send(b.members.self, want)
    b.protocol.send(a.members.self, want)
    await vi.waitFor(() => expect([a.got.length, b.got.length]).toEqual([1, 1]), soon)
    await a.members.disconnect(b.members.self)
    expect(a.protocol.send(b.members.self, want)).toBe(false)
    a.members.join(b.members)
    a.protocol.send(b.members.self, want)
    await vi.waitFor(() => expect(b.got).toHaveLength(2), soon)
    a.protocol.stop()
    b.protocol.stop()
    expect(a.members.subscribers + b.members.subscribers).toBe(0)
    await vi.waitFor(() => {
      expect([...a.members.outgoing(b.members.self), ...a.members.incoming(b.members.self)]).toEqual([])
    }, soon)
    expect(a.protocol.send(b.members.self, want)).toBe(false)
  })
})
