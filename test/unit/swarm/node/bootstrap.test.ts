import { EventEmitter, once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseMultiaddr } from '../../../../src/swarm/membership/peer-address.ts'
import { Bootstrap, type BootstrapComponents } from '../../../../src/swarm/node/bootstrap.ts'
import type { Member, MemberEvents } from '../../../../src/swarm/swarm-ports.ts'
import { recordingLog, silentLog } from '../../../fakes/silent-log.ts'

const TIMING = { dialMs: 1_000, bootstrapMinMs: 1, bootstrapMaxMs: 5, bootstrapIdleMs: 100_000 }

let dials: string[]
let dialled: EventEmitter
let connected: Map<string, Member>
let subscribers: Set<MemberEvents>
/** Who answers at an address; nobody at others. */
let answers: Map<string, string>
let bootstrap: Bootstrap | undefined

beforeEach(() => {
  dials = []
  dialled = new EventEmitter()
  connected = new Map()
  subscribers = new Set()
  answers = new Map()
})
afterEach(async () => {
  await bootstrap?.stop()
})

function start(entries: string[], parts: Partial<BootstrapComponents> = {}, timing = TIMING): void {
  bootstrap = new Bootstrap(
    {
      log: silentLog,
      resolve: (name) => Promise.reject(new Error(`no ${name}`)),
      lastRun: { addresses: () => [] },
      members: {
        self: 'me',
        connected,
        subscribe: (events) => {
          subscribers.add(events)
          return () => void subscribers.delete(events)
        },
      },
      dial: async (address) => {
        const text = address.toString()
        dials.push(text)
        dialled.emit('dial')
        const id = answers.get(text)
        if (id === undefined) throw new Error('nobody there')
        if (id !== 'me') connected.set(id, member(id))
        return { id }
      },
      ...parts,
    },
    { entries, timing },
  )
  bootstrap.start()
}

function member(id: string): Member {
  return { id, lane: undefined, zone: '', version: '', clockOffsetMs: 0, address: '' }
}

async function dialsAre(count: number): Promise<void> {
  while (dials.length < count) await once(dialled, 'dial')
}

describe('bootstrap', () => {
  it('asks for a name once at a time, however long the system takes', async () => {
    const answer = Promise.withResolvers<readonly string[]>()
    let asked = 0
    const resolve = (): Promise<readonly string[]> => {
      asked += 1
      return answer.promise
    }
    start(['slow.example', '10.0.0.1'], { resolve }, { ...TIMING, dialMs: 5 })
    await dialsAre(6)
    expect(asked).toBe(1)
    answer.resolve(['10.0.0.2'])
    while (!dials.includes('/ip4/10.0.0.2/tcp/5051')) await once(dialled, 'dial')
  })

  it('tries for ever while nobody answers', async () => {
    start(['10.0.0.1'])
    await dialsAre(12)
    expect(new Set(dials)).toEqual(new Set(['/ip4/10.0.0.1/tcp/5051']))
  })

  it('dials all addresses of a name, and resolves it again in each round', async () => {
    const records = [['10.0.0.1', 'fd00::1'], ['10.0.0.2']]
    start(['shoal.example:6000'], { resolve: async () => records.shift() ?? ['10.0.0.3'] })
    await dialsAre(4)
    expect(new Set(dials.slice(0, 4))).toEqual(
      new Set(['/ip4/10.0.0.1/tcp/6000', '/ip6/fd00::1/tcp/6000', '/ip4/10.0.0.2/tcp/6000', '/ip4/10.0.0.3/tcp/6000']),
    )
  })

  it('goes on with other addresses when a name cannot be resolved, or never is', async () => {
    start(['hangs.example', 'missing.example', '10.0.0.1'], {
      resolve: (name) => (name === 'hangs.example' ? new Promise(() => {}) : Promise.reject(new Error('NXDOMAIN'))),
    })
    await dialsAre(1)
    expect(dials[0]).toBe('/ip4/10.0.0.1/tcp/5051')
  })

  it('leaves its own address alone once it has found out, and whom it is connected with', async () => {
    answers.set('/ip4/10.0.0.1/tcp/5051', 'me')
    answers.set('/ip4/10.0.0.2/tcp/5051', 'other')
    start(['10.0.0.1', '10.0.0.2', '10.0.0.3'])
    await dialsAre(20)
    expect(dials.filter((text) => text.includes('10.0.0.1/'))).toHaveLength(1)
    expect(dials.filter((text) => text.includes('10.0.0.2/'))).toHaveLength(1)
  })

  it('dials the peers of the last run, by their ids', async () => {
    const address = parseMultiaddr('/ip4/10.0.0.9/tcp/7000/p2p/12D3KooWN9AHnjP1XeKyAy149vkqwtKkki7SMqQQq8DcwKcRMgjd')
    start([], { lastRun: { addresses: () => (address === undefined ? [] : [address]) } })
    await dialsAre(2)
    expect(dials[0]).toContain('/p2p/12D3KooW')
  })

  it('rests when there are enough connections, and wakes when they are gone', async () => {
    for (const host of [1, 2, 3, 4]) answers.set(`/ip4/10.0.0.${host}/tcp/5051`, `p${host}`)
    start(['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'])
    await dialsAre(4)
    const before = dials.length
    connected.delete('p2')
    for (const events of subscribers) events.left(member('p2'))
    await dialsAre(before + 1)
    expect(dials.at(-1)).toBe('/ip4/10.0.0.2/tcp/5051')
  })

  it('dials some of a great many addresses at a time', async () => {
    const all = Array.from({ length: 300 }, (_, i) => `10.0.${i >> 8}.${i & 255}`)
    let running = 0
    let most = 0
    start(['fleet.example'], {
      resolve: async () => all,
      dial: async (address, { signal }) => {
        running += 1
        most = Math.max(most, running)
        dials.push(address.toString())
        dialled.emit('dial')
        await new Promise((resolve) => setImmediate(resolve))
        running -= 1
        signal.throwIfAborted()
        throw new Error('nobody there')
      },
    })
    await dialsAre(100)
    expect(most).toBeLessThanOrEqual(16)
  })

  it('tells the operator once when nobody is reached', async () => {
    const { log, entries } = recordingLog()
    start(['10.0.0.1'], { log })
    await dialsAre(30)
    expect(entries.filter(({ level }) => level === 'warn')).toHaveLength(1)
  })

  it('stops in the middle of a dial', async () => {
    start(['10.0.0.1'], {
      dial: (_, { signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
          dials.push('')
          dialled.emit('dial')
        }),
    })
    await dialsAre(1)
    await bootstrap?.stop()
    expect(dials).toHaveLength(1)
    expect(subscribers.size).toBe(0)
  })
})
