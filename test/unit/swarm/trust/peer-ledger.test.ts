import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { noSwarmMetrics } from '../../../../src/swarm/swarm-metrics.ts'
import type { Ban, Member } from '../../../../src/swarm/swarm-ports.ts'
import { PeerLedger } from '../../../../src/swarm/trust/peer-ledger.ts'
import { recordingLog, silentLog } from '../../../fakes/silent-log.ts'

const MINUTE = 60_000
let now = 1_000_000
const clock = () => now
const ledgerOf = (file?: string) => new PeerLedger({ clock, log: silentLog, metrics: noSwarmMetrics }, { file })
const member = (id: string): Member => ({
  id,
  lane: undefined,
  zone: 'z',
  version: '1',
  clockOffsetMs: 0,
  address: '192.0.2.1:5051',
})

describe('the ledger of peers', () => {
  let dir: string
  beforeEach(async () => {
    now = 1_000_000
    dir = await mkdtemp(join(tmpdir(), 'shoal-ledger-'))
  })
  afterEach(() => rm(dir, { recursive: true }))

  it.each([
    ['false-map', 24 * 60],
    ['false-claim', 10],
    ['wrong-bytes', 10],
    ['protocol', 10],
  ] as const)('shuts out for %s for %i minutes', (reason, minutes) => {
    const ledger = ledgerOf()
    expect(ledger.ban('liar', reason)).toBe(true)
    now += minutes * MINUTE - 1
    expect(ledger.isBanned('liar')).toBe(true)
    expect(ledger.bans()).toMatchObject([{ peer: 'liar', reason }])
    now += 1
    expect(ledger.isBanned('liar')).toBe(false)
    expect(ledger.bans()).toEqual([])
  })

  it('tells subscribers of a ban once, and again when it gets longer', () => {
    const ledger = ledgerOf()
    const seen: Ban['reason'][] = []
    const end = ledger.subscribe(({ reason }) => seen.push(reason))
    ledger.report('liar', { type: 'wrong-bytes', index: 1, bytes: 10 })
    ledger.report('liar', { type: 'wrong-bytes', index: 2, bytes: 10 })
    ledger.ban('liar', 'false-map', 'witness')
    ledger.ban('liar', 'false-claim')
    expect(seen).toEqual(['wrong-bytes', 'false-map'])
    expect(ledger.bans()).toMatchObject([{ reason: 'false-map', fromPeer: 'witness' }])
    end()
    ledger.ban('other', 'false-map')
    expect(seen).toHaveLength(2)
  })

  it('forgives two abuses of the protocol and not the third within ten minutes', () => {
    const ledger = ledgerOf()
    ledger.abused('a', undefined)
    ledger.abused('a', undefined)
    now += 10 * MINUTE
    ledger.abused('a', undefined)
    ledger.abused('a', undefined)
    expect(ledger.isBanned('a')).toBe(false)
    ledger.abused('a', undefined)
    expect(ledger.isBanned('a')).toBe(true)
  })

  it('shuts nobody out for being slow or gone', () => {
    const ledger = ledgerOf()
    for (let turn = 0; turn < 100; turn++) {
      ledger.report('a', { type: 'stalled' })
      ledger.report('a', { type: 'failed' })
    }
    expect(ledger.isBanned('a')).toBe(false)
    expect(ledger.standing('a')).toMatchObject({ faults: 200, stalls: 100, failures: 100 })
  })

  it('counts what came and went and how fast', () => {
    const ledger = ledgerOf()
    ledger.joined(member('a'))
    ledger.report('a', { type: 'delivered', bytes: 1_000_000, ms: 1_000 })
    ledger.report('a', { type: 'delivered', bytes: 10, ms: 5 })
    ledger.sent('a', 77)
    expect(ledger.peers()).toEqual([
      expect.objectContaining({
        id: 'a',
        isConnected: true,
        address: '192.0.2.1:5051',
        receivedBytes: 1_000_010,
        sentBytes: 77,
        bytesPerSecond: 1_000_000,
        deliveries: 2,
        faults: 0,
      }),
    ])
    ledger.left('a')
    expect(ledger.standing('a')).toMatchObject({ isConnected: false })
  })

  it('remembers bans across a restart, for no longer than they were meant', async () => {
    const file = join(dir, 'bans.json')
    const first = ledgerOf(file)
    await first.start()
    first.ban('liar', 'false-map', 'witness')
    first.ban('rude', 'protocol')
    await first.stop()
    now += 11 * MINUTE
    const second = ledgerOf(file)
    await second.start()
    expect(second.bans()).toEqual(first.bans())
    expect(second.bans()).toMatchObject([{ peer: 'liar', reason: 'false-map', fromPeer: 'witness' }])
  })

  it('bans for its usual time at most when the clock was far ahead', async () => {
    const file = join(dir, 'bans.json')
    now = 10 ** 15
    const first = ledgerOf(file)
    first.ban('liar', 'protocol')
    await first.stop()
    now = 1_000_000
    const second = ledgerOf(file)
    await second.start()
    now += 10 * MINUTE
    expect(second.isBanned('liar')).toBe(false)
  })

  it('bans for its usual time at most when the clock is set back meanwhile', () => {
    const ledger = ledgerOf()
    now = 10 ** 12
    ledger.ban('liar', 'protocol')
    now = 1_000_000
    expect(ledger.isBanned('liar')).toBe(true)
    now += 10 * MINUTE
    expect(ledger.isBanned('liar')).toBe(false)
  })

  it('remembers across a restart which proofs have counted', async () => {
    const file = join(dir, 'bans.json')
    const first = ledgerOf(file)
    first.spend('proof')
    await first.stop()
    const second = ledgerOf(file)
    await second.start()
    expect([second.isSpent('proof'), second.isSpent('other')]).toEqual([true, false])
    second.ban('liar', 'protocol')
    await second.stop()
    const third = ledgerOf(file)
    await third.start()
    expect(third.isSpent('proof')).toBe(true)
  })

  it('warns of those who are here, not of thousands that somebody made up, and tells all whatever one of them does', () => {
    const { log, entries } = recordingLog()
    const ledger = new PeerLedger({ clock, log, metrics: noSwarmMetrics }, { file: undefined })
    const told: string[] = []
    ledger.subscribe(() => {
      throw new Error('planned')
    })
    ledger.subscribe(({ peer }) => told.push(peer))
    ledger.joined(member('here'))
    ledger.ban('here', 'false-map')
    ledger.ban('made up', 'false-map')
    expect(told).toEqual(['here', 'made up'])
    expect(entries.filter(({ level }) => level === 'warn')).toHaveLength(1)
  })

  it.each(['', 'nonsense', '{"bans":[{"peer":5}]}', '[]'])('starts without bans from a file with %j', async (text) => {
    const file = join(dir, 'bans.json')
    await writeFile(file, text)
    const { log, entries } = recordingLog()
    const ledger = new PeerLedger({ clock, log, metrics: noSwarmMetrics }, { file })
    await ledger.start()
    expect(ledger.bans()).toEqual([])
    expect(entries).toMatchObject([{ level: 'warn' }])
    ledger.ban('liar', 'protocol')
    await ledger.stop()
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ bans: [{ peer: 'liar' }] })
  })

  it('works without a place to keep bans', async () => {
    const { log, entries } = recordingLog()
    const ledger = new PeerLedger({ clock, log, metrics: noSwarmMetrics }, { file: join(dir, 'no', 'bans.json') })
    await ledger.start()
    for (const peer of ['liar', 'rude', 'liar too']) {
      ledger.ban(peer, 'protocol')
      await ledger.stop()
    }
    expect(ledger.isBanned('liar')).toBe(true)
    expect(entries.filter(({ level }) => level === 'warn')).toHaveLength(1)
    expect(entries.filter(({ message }) => message.includes('can not be kept'))).toHaveLength(3)
  })

  it('keeps the bans of known peers when made-up ones flood it, and forgets idle peers', () => {
    const ledger = ledgerOf()
    ledger.joined(member('liar'))
    ledger.ban('liar', 'false-map')
    for (let id = 0; id < 3_000; id++) ledger.ban(`made up ${id}`, 'false-map')
    expect(ledger.isBanned('liar')).toBe(true)
    expect(ledger.bans()).toHaveLength(1_000)
    for (let id = 0; id < 3_000; id++) ledger.sent(`passing ${id}`, 1)
    expect(ledger.peers()).toHaveLength(1_000)
    expect(ledger.standing('liar')).toBeDefined()
  })
})
