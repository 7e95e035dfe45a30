import { describe, expect, it } from 'vitest'
import { planChunks } from '../../../src/blob/chunk-plan.ts'
import type { Snapshot } from '../../../src/blob/chunk-scheduler.ts'
import { ChunkSet } from '../../../src/blob/chunk-set.ts'
import { FillOrder } from '../../../src/blob/fill-order.ts'
import { RunDraft } from '../../../src/blob/run-draft.ts'

const MIB = 1024 * 1024
const plan = planChunks(32 * MIB) // 128 chunks of 256 KiB

/** The first chunks that are asked for while a reader waits for chunk 10 and this agent's own place is chunk 64. */
function firstOf(count: number, { ageMs, rate }: { ageMs: number; rate: number }): number[] {
  const snapshot: Snapshot = {
    plan,
    missing: ChunkSet.of(plan.count, () => true),
    stateOf: () => 'missing',
    runs: [],
    sources: [],
    atPeers: new ChunkSet(plan.count),
    wanted: [{ chunk: 10, waitedMs: 0 }],
    mayFetch: () => 'free',
    ageMs,
    riskLeft: Number.POSITIVE_INFINITY,
    isWithResting: () => false,
    isReleased: () => true,
    isUndisputed: () => true,
    offset: 0.5,
    sparesLeft: 10,
    peersBytesPerSecond: rate,
    leases: undefined,
  }
  const order = new FillOrder(new RunDraft(snapshot), { leavesDisputed: false })
  return Array.from({ length: count }, () => order.next())
}

describe('what peers are asked for first', () => {
  it('is what a reader comes to within half a second, then what lies at a place of this agent’s own', () => {
    expect(firstOf(6, { ageMs: 5_000, rate: 2 * MIB })).toEqual([10, 11, 12, 13, 64, 65])
  })

  it('is two chunks where peers bring next to nothing, and 16 MiB where they are fast', () => {
    expect(firstOf(4, { ageMs: 5_000, rate: 0 })).toEqual([10, 11, 64, 65])
    const fast = firstOf(66, { ageMs: 5_000, rate: 1_000 * MIB })
    expect(fast.slice(0, 64)).toEqual(Array.from({ length: 64 }, (_, index) => 10 + index))
    expect(fast[64]).toBe(74)
  })

  it('is 16 MiB as long as nothing is known of the peers', () => {
    expect(firstOf(64, { ageMs: 100, rate: 0 })).toEqual(Array.from({ length: 64 }, (_, index) => 10 + index))
  })
})
