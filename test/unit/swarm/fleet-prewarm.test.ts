import { lpStream } from '@libp2p/utils'
import { encode } from 'cborg'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ShoalError } from '../../../src/errors.ts'
import { FleetPrewarm, type FleetPrewarmComponents, type PrewarmEnd } from '../../../src/swarm/fleet-prewarm.ts'
import { type FakeMembers, FakeSwarm } from '../../fakes/fake-members.ts'
import { silentLog } from '../../fakes/silent-log.ts'

const PROTOCOL = '/shoal/prewarm/1'
const IMAGE = { registry: 'r.test', name: 'app', reference: 'v1', platforms: ['linux/arm64'] }
const END: PrewarmEnd = { ok: true, message: undefined, bytes: 9, totalBytes: 9, fromOrigin: 4, fromPeers: 5 }
const TIMING = { tellMs: 5, silenceMs: 2_000, jobMs: 10_000, patienceMs: 100 }
const soon = { timeout: 3_000, interval: 2 }
const { signal } = new AbortController()
const nothing = (): void => {}

describe('agents that ask each other for a prewarm', () => {
  let swarm: FakeSwarm
  const all: FleetPrewarm[] = []
  beforeEach(() => {
    swarm = new FakeSwarm()
  })
  afterEach(() => {
    for (const one of all.splice(0)) one.stop()
  })

  function agent(
    work: FleetPrewarmComponents['work'],
    timing: Partial<typeof TIMING> = {},
  ): { members: FakeMembers; fleet: FleetPrewarm } {
    const members = swarm.agent()
    const fleet = new FleetPrewarm(
      { members, work, clock: () => performance.now(), log: silentLog },
      { ...TIMING, ...timing },
    )
    all.push(fleet)
    return { members, fleet }
  }

  function pair(work: FleetPrewarmComponents['work'], timing: Partial<typeof TIMING> = {}) {
    const asker = agent(undefined, timing)
    const asked = agent(work, timing)
    asker.members.join(asked.members)
    return { asker, asked, ask: (on = nothing) => asker.fleet.ask(asked.members.self, IMAGE, on, { signal }) }
  }

  it('hear how far it is, and what came of it', async () => {
    const gate = Promise.withResolvers<void>()
    const seen: unknown[] = []
    const { asker, asked } = pair(async (image, onProgress) => {
      seen.push(image)
      onProgress({ bytes: 4, totalBytes: 9, fromOrigin: 4, fromPeers: 0 })
      await gate.promise
      return END
    })
    expect(asker.fleet.hosts()).toEqual([{ id: asked.members.self, address: 'memory' }])
    const told = vi.fn<() => void>(() => gate.resolve())
    expect(await asker.fleet.ask(asked.members.self, IMAGE, told, { signal })).toEqual(END)
    expect(told).toHaveBeenCalledWith({ bytes: 4, totalBytes: 9, fromOrigin: 4, fromPeers: 0 })
    expect(seen).toMatchObject([IMAGE])
  })

  it('hear why it failed', async () => {
    const { ask } = pair(async () => ({ ...END, ok: false, message: 'not made for linux/arm64' }))
    expect(await ask()).toMatchObject({ ok: false, message: 'not made for linux/arm64' })
    const broken = pair(() => Promise.reject(new ShoalError('NAME_INVALID', 'not a repository name')))
    expect(await broken.ask()).toMatchObject({ ok: false, message: 'not a repository name' })
  })

  it('are refused where the operator does not want it', async () => {
    await expect(pair(undefined).ask()).rejects.toMatchObject({ code: 'DENIED' })
  })

  it('have two jobs at once, and are told to wait for more', async () => {
    const gate = Promise.withResolvers<void>()
    let running = 0
    const { ask } = pair(async () => {
      running += 1
      await gate.promise
      return END
    })
    const first = [ask(), ask()]
    await vi.waitFor(() => expect(running).toBe(2), soon)
    await expect(ask()).rejects.toMatchObject({ code: 'PEER_BUSY' })
    gate.resolve()
    await expect(Promise.all(first)).resolves.toHaveLength(2)
  })

  it('get their turn when the asked one is free again', async () => {
    const gate = Promise.withResolvers<void>()
    let running = 0
    const { ask } = pair(
      async () => {
        running += 1
        await gate.promise
        return END
      },
      { patienceMs: 5_000 },
    )
    const jobs = [ask(), ask(), ask()]
    await vi.waitFor(() => expect(running).toBe(2), soon)
    gate.resolve()
    await expect(Promise.all(jobs)).resolves.toEqual([END, END, END])
    expect(running).toBe(3)
  })

  it('end the job when they leave', async () => {
    const ended = Promise.withResolvers<unknown>()
    const { asker, asked } = pair((_image, _on, options) => {
      options.signal.addEventListener('abort', () => ended.resolve('aborted'))
      return new Promise<PrewarmEnd>((_, reject) => {
        options.signal.addEventListener('abort', () => reject(new Error('aborted')))
      })
    })
    const leaving = new AbortController()
    const asking = asker.fleet.ask(asked.members.self, IMAGE, () => leaving.abort(new Error('left')), leaving)
    await expect(asking).rejects.toThrow('left')
    expect(await ended.promise).toBe('aborted')
    // and there is room again
    await vi.waitFor(() => expect(asked.members.incoming(asker.members.self)).toEqual([]), soon)
  })

  it('take one that falls silent, or vanishes, for gone', async () => {
    const silent = agent(undefined, { silenceMs: 20 })
    const mute = swarm.agent()
    mute.handle(PROTOCOL, () => {})
    silent.members.join(mute)
    await expect(silent.fleet.ask(mute.self, IMAGE, nothing, { signal })).rejects.toMatchObject({
      code: 'PEER_UNAVAILABLE',
    })
    const { asker, asked, ask } = pair(() => new Promise<PrewarmEnd>(() => {}))
    await expect(ask(() => asked.members.breakStreams())).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    await expect(asker.fleet.ask('nobody', IMAGE, nothing, { signal })).rejects.toMatchObject({
      code: 'PEER_UNAVAILABLE',
    })
  })

  it('tell an agent of an older version from one that is away', async () => {
    const { asker, asked } = pair(undefined)
    const unknown = Object.assign(new Error('no such protocol'), { name: 'UnsupportedProtocolError' })
    asker.members.openStream = () =>
      Promise.reject(new ShoalError('PEER_UNAVAILABLE', 'the peer cannot be reached', { cause: unknown }))
    await expect(asker.fleet.ask(asked.members.self, IMAGE, nothing, { signal })).rejects.toMatchObject({
      code: 'DENIED',
      message: expect.stringContaining('version'),
    })
  })

  it.each([
    ['no CBOR', Buffer.from('hello')],
    ['another version', encode({ ...IMAGE, v: 2 })],
    ['no image', encode({ v: 1 })],
    ['an endless list', encode({ v: 1, ...IMAGE, platforms: Array.from({ length: 40 }, () => 'x') })],
    ['a huge name', encode({ v: 1, ...IMAGE, name: 'x'.repeat(3_000) })],
    ['a message beyond all bounds', encode({ v: 1, ...IMAGE, name: 'x'.repeat(100_000) })],
  ])('do no work for %s', async (_what, message) => {
    let worked = false
    const { asker, asked } = pair(async () => {
      worked = true
      return END
    })
    const stream = await asker.members.openStream(asked.members.self, PROTOCOL, { signal })
    const closed = new Promise((resolve) => {
      stream.addEventListener('close', resolve, { once: true })
    })
    await lpStream(stream).write(message)
    await closed
    expect(worked).toBe(false)
  })

  it.each([
    [
      'a state of its own',
      encode({ state: 'fine', bytes: 0, totalBytes: 0, fromOrigin: 0, fromPeers: 0, message: '' }),
    ],
    [
      'less than nothing',
      encode({ state: 'done', bytes: -1, totalBytes: 0, fromOrigin: 0, fromPeers: 0, message: '' }),
    ],
    [
      'a long story',
      encode({ state: 'failed', bytes: 0, totalBytes: 0, fromOrigin: 0, fromPeers: 0, message: 'x'.repeat(500) }),
    ],
  ])('take an answer with %s for misbehaviour', async (_what, message) => {
    const asker = agent(undefined)
    const liar = swarm.agent()
    liar.handle(PROTOCOL, (stream) => void lpStream(stream).write(message))
    asker.members.join(liar)
    await expect(asker.fleet.ask(liar.self, IMAGE, nothing, { signal })).rejects.toMatchObject({
      code: 'PEER_MISBEHAVED',
    })
  })
})
