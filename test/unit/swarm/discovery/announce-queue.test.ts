import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { AnnounceQueue } from '../../../../src/swarm/discovery/announce-queue.ts'

const INIT = { validityMs: 100_000, burst: 3, perSecond: 10, maxKeys: 100 }
const SWARM = { turnover: 0, size: 8 }

let now: number
let queue: AnnounceQueue<string>

beforeEach(() => {
  now = 0
  queue = new AnnounceQueue({ clock: () => now, random: () => 0.5 }, INIT)
})

function take(swarm = SWARM): string | undefined {
  const next = queue.next(swarm)
  return next.type === 'announce' ? next.key : undefined
}

describe('the queue of what to announce', () => {
  it('gives the newest key first, each once', () => {
    for (const key of ['a', 'b', 'c', 'b']) queue.add(key)
    expect([take(), take(), take()]).toEqual(['c', 'b', 'a'])
    expect(queue.next(SWARM)).toEqual({ type: 'idle' })
  })

  it('lets no more through than its rate after the first few', () => {
    for (let i = 0; i < 20; i++) queue.add(`k${i}`)
    expect([take(), take(), take(), take()]).toEqual(['k19', 'k18', 'k17', undefined])
    expect(queue.next(SWARM)).toEqual({ type: 'wait', ms: 100 })
    now = 100
    expect([take(), take()]).toEqual(['k16', undefined])
  })

  it('gives a key again at half of the life of its record', () => {
    queue.add('a')
    take()
    queue.done('a', SWARM)
    expect(queue.next(SWARM)).toEqual({ type: 'wait', ms: 50_000 })
    now = 50_000
    expect(take()).toBe('a')
  })

  it('does not wait for years when the clock is set back', () => {
    now = 10 ** 13
    for (const key of ['a', 'b']) queue.add(key)
    expect([take(), take()]).toEqual(['b', 'a'])
    queue.done('a', SWARM)
    queue.failed('b')
    now = 0
    expect(take()).toBeDefined()
    now = 100
    expect(take()).toBeDefined()
    queue.done('a', SWARM)
    queue.done('b', SWARM)
    expect(queue.next(SWARM)).toEqual({ type: 'wait', ms: 50_000 })
  })

  it('gives the newest first after thousands came and went untold', () => {
    queue.add('old')
    for (let i = 0; i < 5_000; i++) {
      queue.add(`k${i % 7}`)
      queue.remove(`k${i % 7}`)
    }
    for (const key of ['k3', 'k1']) queue.add(key)
    expect([take(), take(), take()]).toEqual(['k1', 'k3', 'old'])
    expect(queue.next(SWARM)).toEqual({ type: 'idle' })
  })

  it('does nothing when the key is announced already', () => {
    queue.add('a')
    take()
    queue.done('a', SWARM)
    expect(queue.add('a')).toBe(false)
    expect(take()).toBeUndefined()
  })

  it('tries again after a failure, later each time', () => {
    queue.add('a')
    const waits = Array.from({ length: 12 }, () => {
      expect(take()).toBe('a')
      queue.failed('a')
      const next = queue.next(SWARM)
      const ms = next.type === 'wait' ? next.ms : Number.NaN
      now += ms
      return ms
    })
    expect(waits.slice(0, 3)).toEqual([1_000, 2_000, 4_000])
    expect(waits.at(-1)).toBe(600_000)
  })

  it('announces anew when as many members came and went as there were', () => {
    queue.add('a')
    take()
    queue.done('a', SWARM)
    now = 20_000
    expect(take({ turnover: 7, size: 8 })).toBeUndefined()
    expect(take({ turnover: 8, size: 16 })).toBe('a')
    queue.done('a', { turnover: 8, size: 16 })
    expect(queue.next({ turnover: 24, size: 20 })).toEqual({ type: 'wait', ms: 10_000 })
  })

  it('never gives what was removed', () => {
    queue.add('a')
    queue.add('b')
    queue.remove('b')
    expect(take()).toBe('a')
    queue.remove('a')
    queue.done('a', SWARM)
    queue.failed('a')
    now = 1e9
    expect(queue.next(SWARM)).toEqual({ type: 'idle' })
    expect(queue.size).toBe(0)
  })

  it('gives a key that was withdrawn and announced again', () => {
    queue.add('a')
    take()
    queue.done('a', SWARM)
    queue.remove('a')
    queue.add('a')
    expect(take()).toBe('a')
  })

  it('holds a bounded number of keys', () => {
    for (let i = 0; i < 1_000; i++) queue.add(`k${i}`)
    expect(queue.size).toBe(100)
  })

  it('gives every key sooner or later, never twice at the same time, and never above its rate', () => {
    const step = fc.oneof(
      fc.record({ type: fc.constant('add' as const), key: fc.integer({ max: 20, min: 0 }) }),
      fc.record({ type: fc.constant('remove' as const), key: fc.integer({ max: 20, min: 0 }) }),
      fc.record({ type: fc.constant('fail' as const) }),
      fc.record({ type: fc.constant('done' as const) }),
      fc.record({ type: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 500 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        let clock = 0
        const tested = new AnnounceQueue<number>({ clock: () => clock, random: () => 0.5 }, INIT)
        const running: number[] = []
        let given = 0
        for (const step of steps) {
          if (step.type === 'add') tested.add(step.key)
          if (step.type === 'remove') {
            tested.remove(step.key)
            if (running.includes(step.key)) running.splice(running.indexOf(step.key), 1)
          }
          if (step.type === 'pass') clock += step.ms
          const ended = step.type === 'fail' || step.type === 'done' ? running.shift() : undefined
          if (ended !== undefined && step.type === 'done') tested.done(ended, SWARM)
          if (ended !== undefined && step.type === 'fail') tested.failed(ended)
          const next = tested.next(SWARM)
          if (next.type !== 'announce') continue
          given += 1
          expect(running).not.toContain(next.key)
          running.push(next.key)
        }
        expect(given).toBeLessThanOrEqual(INIT.burst + (clock * INIT.perSecond) / 1000 + 1e-6)
      }),
    )
  })
})
