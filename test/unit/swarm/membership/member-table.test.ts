import { beforeEach, describe, expect, it } from 'vitest'
import type { Hello } from '../../../../src/swarm/membership/hello.ts'
import { MemberTable } from '../../../../src/swarm/membership/member-table.ts'
import { recordingLog } from '../../../fakes/silent-log.ts'

const FINGERPRINT = 'ab'.repeat(32)

function hello(fingerprint = FINGERPRINT, hosts: string[] = []): Hello {
  return {
    nonce: new Uint8Array(32),
    time: 5_000,
    version: '1',
    zone: 'z',
    lane: { fingerprint, port: 5052, hosts },
  }
}

let now: number
let table: MemberTable
let events: string[]
const { log, entries } = recordingLog()

beforeEach(() => {
  now = 1_000
  events = []
  table = new MemberTable({ clock: () => now, log })
  table.subscribe({
    joined: ({ id }) => events.push(`joined ${id}`),
    left: ({ id }) => events.push(`left ${id}`),
  })
})

const KEY = Buffer.alloc(32, 1)
const OTHER_KEY = Buffer.alloc(32, 2)

function connect(id: string, connectionId = `${id}-1`, said: Hello = hello(), key: Buffer = KEY): boolean {
  const address = `/ip4/10.0.0.7/tcp/${1000 + connectionId.length}`
  table.admit({ id, address, hello: said, key })
  return table.opened({ connectionId, id, address })
}

describe('the table of members', () => {
  it('knows a member as long as one of its connections is there', () => {
    connect('a', 'a-1')
    connect('a', 'a-22')
    table.closed({ connectionId: 'a-1', id: 'a' })
    expect(table.connected.has('a')).toBe(true)
    table.closed({ connectionId: 'a-22', id: 'a' })
    table.closed({ connectionId: 'a-22', id: 'a' })
    expect(table.connected.size).toBe(0)
    expect(events).toEqual(['joined a', 'left a'])
  })

  it('takes no connection on which nothing was proved, nor one proof for two', () => {
    expect(table.opened({ connectionId: 'x', id: 'x', address: '/ip4/10.0.0.9/tcp/1' })).toBe(false)
    connect('a')
    expect(table.opened({ connectionId: 'a-9', id: 'a', address: '/ip4/10.0.0.7/tcp/1003' })).toBe(false)
    expect(events).toEqual(['joined a'])
  })

  it('lets go of whoever proved itself by a secret that is none any more, at once and for its lane too', () => {
    connect('a', 'a-1')
    connect('b', 'b-1', hello('cd'.repeat(32)), OTHER_KEY)
    connect('b', 'b-22', hello('cd'.repeat(32)))
    connect('c', 'c-1', hello('ef'.repeat(32)), OTHER_KEY)
    expect(table.keepOnly([OTHER_KEY, KEY])).toEqual(new Map())
    const address = '/ip4/10.0.0.9/tcp/1'
    table.admit({ id: 'd', address, hello: hello(''), key: KEY })
    expect(table.keepOnly([Buffer.from(OTHER_KEY)])).toEqual(
      new Map([
        ['a', ['a-1']],
        ['b', ['b-22']],
      ]),
    )
    expect([...table.connected.keys()]).toEqual(['b', 'c'])
    expect(events).toEqual(['joined a', 'joined b', 'joined c', 'left a'])
    expect(table.byFingerprint(FINGERPRINT)).toBeUndefined()
    expect(table.opened({ connectionId: 'd-1', id: 'd', address })).toBe(false)
    table.closed({ connectionId: 'a-1', id: 'a' })
    expect(events).toHaveLength(4)
  })

  it('reaches the lane at the address of the connection unless the member tells others, and looks up no names', () => {
    connect('a')
    connect('b', 'b-1', hello('cd'.repeat(32), ['lane.example', '10.0.0.8']))
    connect('c', 'c-1', hello('ef'.repeat(32), ['lane.example']))
    expect(table.connected.get('a')?.lane?.addresses).toEqual([{ host: '10.0.0.7', port: 5052 }])
    expect(table.connected.get('b')?.lane?.addresses).toEqual([{ host: '10.0.0.8', port: 5052 }])
    expect(table.connected.get('c')?.lane?.addresses).toEqual([{ host: '10.0.0.7', port: 5052 }])
    expect(table.connected.get('a')?.clockOffsetMs).toBe(4_000)
  })

  it('forgets nobody who proved itself in a fleet that starts at once', () => {
    const address = '/ip4/10.0.0.7/tcp/1'
    const ids = Array.from({ length: 600 }, (_, i) => `agent-${i}`)
    for (const id of ids) table.admit({ id, address, hello: hello(''), key: KEY })
    expect(ids.filter((id) => !table.opened({ connectionId: id, id, address }))).toEqual([])
  })

  it('finds a member by its lane for some minutes after it left', () => {
    connect('a')
    table.closed({ connectionId: 'a-1', id: 'a' })
    now += 4 * 60_000
    expect(table.byFingerprint(FINGERPRINT)?.id).toBe('a')
    now += 2 * 60_000
    expect(table.byFingerprint(FINGERPRINT)).toBeUndefined()
  })

  it('finds the member that a certificate names, though another one was first to tell it', () => {
    connect('mallory')
    connect('a')
    expect(table.byFingerprint(FINGERPRINT, 'a')?.id).toBe('a')
    table.closed({ connectionId: 'a-1', id: 'a' })
    expect(table.byFingerprint(FINGERPRINT, 'a')?.id).toBe('a')
    connect('b', 'b-1', hello('cd'.repeat(32)))
    expect(table.byFingerprint(FINGERPRINT, 'b')?.id).toBe('mallory')
  })

  it('does not let a second member claim the lane of a connected one', () => {
    connect('a')
    connect('mallory')
    expect(table.byFingerprint(FINGERPRINT)?.id).toBe('a')
    table.closed({ connectionId: 'mallory-1', id: 'mallory' })
    now += 10 * 60_000
    expect(table.byFingerprint(FINGERPRINT)?.id).toBe('a')
  })

  it('does not let a second member claim the lane of one that is away for a moment', () => {
    connect('a')
    table.closed({ connectionId: 'a-1', id: 'a' })
    connect('mallory')
    connect('a', 'a-22')
    expect(table.byFingerprint(FINGERPRINT)?.id).toBe('a')
  })

  it('believes the newest connection of a member that was started anew', () => {
    connect('a', 'a-1')
    connect('a', 'a-22', hello('cd'.repeat(32)))
    expect(events).toEqual(['joined a', 'left a', 'joined a'])
    expect(table.byFingerprint('cd'.repeat(32))?.id).toBe('a')
    expect(table.byFingerprint(FINGERPRINT)).toBeUndefined()
    table.closed({ connectionId: 'a-1', id: 'a' })
    expect(table.connected.has('a')).toBe(true)
  })

  it('forgets peers that came and went, however many', () => {
    for (let i = 0; i < 3_000; i++) {
      connect(`p${i}`, `p${i}-1`, hello(i.toString(16).padStart(64, '0')))
      table.closed({ connectionId: `p${i}-1`, id: `p${i}` })
    }
    const found = Array.from({ length: 3_000 }, (_, i) => table.byFingerprint(i.toString(16).padStart(64, '0')))
    expect(found.filter((member) => member !== undefined).length).toBeLessThanOrEqual(1024)
  })

  it('goes on when a subscriber fails', () => {
    table.subscribe({
      joined: () => {
        throw new Error('subscriber')
      },
      left: () => {},
    })
    connect('a')
    expect(table.connected.has('a')).toBe(true)
    expect(entries.map(({ level }) => level)).toEqual(['error'])
  })
})
