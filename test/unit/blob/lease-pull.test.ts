import { describe, expect, it } from 'vitest'
import { planChunks } from '../../../src/blob/chunk-plan.ts'
import { type RunView, type SourceView, scheduleRuns } from '../../../src/blob/chunk-scheduler.ts'
import { ChunkSet } from '../../../src/blob/chunk-set.ts'
import { LeaseBook } from '../../../src/blob/lease-book.ts'

const MIB = 1024 * 1024
const plan = planChunks(64 * MIB) // 128 chunks of 512 KiB
const STEP_MS = 50

/** What a coordinator, or peers, do at this time. */
interface Others {
  /** Chunks that are granted of what was asked for. */
  grants?(now: number): number
  /** Chunks that peers bring meanwhile. */
  bring?(now: number): number
}

/** Pulls the blob with the real policy, step by step. @returns seconds until it is here, and chunks that came without leave */
function pull(
  originBytesPerSecond: number,
  others: Others,
): { readonly seconds: number; readonly withoutLeave: number } {
  let now = 0
  const missing = ChunkSet.of(plan.count, () => true)
  const leases = new LeaseBook({ clock: () => now }, { chunks: plan.count })
  const runs: { id: number; from: number; end: number; bytes: number; startedAt: number }[] = []
  let rate: number | undefined
  let fetched = 0
  let withoutLeave = 0
  let since = 0
  const viewOf = (run: (typeof runs)[number]): RunView => ({
    id: run.id,
    source: 'origin',
    kind: 'origin',
    isSpare: false,
    next: run.from + Math.floor(run.bytes / plan.chunkBytes),
    arrivedBytes: run.bytes % plan.chunkBytes,
    end: run.end,
    askedEnd: run.end,
    ageMs: now - run.startedAt,
    silentMs: 0,
    bytesPerSecond: (run.bytes * 1_000) / Math.max(1, now - run.startedAt),
  })
  const came = (chunk: number, from: 'origin' | 'peer'): void => {
    if (chunk === missing.next(0)) since = now
    missing.delete(chunk)
    if (leases.came(chunk, from)) withoutLeave += 1
  }
  for (let id = 1; !missing.isEmpty; now += STEP_MS) {
    expect(now).toBeLessThan(600_000)
    const share = (originBytesPerSecond * STEP_MS) / 1_000 / Math.max(1, runs.length)
    for (const run of runs.slice()) {
      const before = viewOf(run).next
      run.bytes += share
      for (let chunk = before; chunk < Math.min(run.end, viewOf(run).next); chunk++) came(chunk, 'origin')
      fetched += share
      if (viewOf(run).next < run.end) continue
      runs.splice(runs.indexOf(run), 1)
      rate = viewOf(run).bytesPerSecond
    }
    for (let left = others.bring?.(now) ?? 0; left > 0 && !missing.isEmpty; left--) came(missing.next(0), 'peer')
    const origin: SourceView = {
      id: 'origin',
      kind: 'origin',
      has: () => true,
      gives: () => true,
      maxRuns: 4,
      chunksLeft: Number.POSITIVE_INFINITY,
      bytesPerSecond: rate,
      ignoresRange: false,
      bytesReceived: fetched,
      isSlow: false,
    }
    const steps = scheduleRuns({
      plan,
      missing: missing.copy(),
      stateOf: (index) => (missing.has(index) ? 'missing' : 'there'),
      runs: runs.map(viewOf),
      sources: [origin],
      atPeers: new ChunkSet(plan.count),
      isWithResting: () => false,
      sparesLeft: 10,
      peersBytesPerSecond: 0,
      wanted: [{ chunk: Math.max(0, missing.next(0)), waitedMs: now - since }],
      mayFetch: () => 'no',
      ageMs: now,
      riskLeft: Number.POSITIVE_INFINITY,
      isReleased: () => true,
      isUndisputed: () => true,
      offset: 0,
      leases: leases.view(now, true),
    })
    for (const step of steps) {
      if (step.type === 'start') runs.push({ id: id++, from: step.from, end: step.to, bytes: 0, startedAt: now })
      else if (step.type === 'ask-lease') {
        leases.asked({ size: plan.size, ...step })
        const from = step.gaps[0]?.from ?? 0
        const to = from + Math.min(step.most, others.grants?.(now) ?? 0)
        leases.leased({ ranges: to > from ? [{ from, to }] : [], forMs: to > from ? 5_000 : 50, members: 8 })
      }
    }
  }
  return { seconds: now / 1_000, withoutLeave }
}

/** Once every three seconds. */
const now3 = (now: number): number => (now % 3_000 === 0 ? 1 : 0)

describe('a pull among others, against the origin alone', () => {
  const alone = 64 / 8

  it('takes a few seconds longer when nothing is granted and nothing comes', () => {
    expect(pull(8 * MIB, {}).seconds).toBeLessThan(alone + 8)
  })

  it('takes a few seconds longer when a coordinator grants a chunk every three seconds', () => {
    expect(pull(8 * MIB, { grants: now3 }).seconds).toBeLessThan(alone + 11)
  })

  it('takes some seconds longer when peers bring a chunk every three seconds, and nothing is granted', () => {
    expect(pull(8 * MIB, { bring: now3 }).seconds).toBeLessThan(alone + 11)
    expect(pull(64 * MIB, { bring: now3 }).seconds).toBeLessThan(1 + 11)
  })

  it('takes at most twice as long and a few seconds when a coordinator grants half of what the origin gives', () => {
    let granted = 0
    const half = (now: number): number => {
      const more = Math.floor((now / 1_000) * 8) - granted
      granted += more
      return more
    }
    expect(pull(8 * MIB, { grants: half }).seconds).toBeLessThan(2 * alone + 11)
  })

  it('takes nothing without leave when the swarm as a whole is as fast as the origin', () => {
    const { seconds, withoutLeave } = pull(8 * MIB, { bring: (now) => (now % 100 === 0 ? 2 : 0) })
    expect(withoutLeave).toBe(0)
    expect(seconds).toBeLessThan(alone)
  })
})
