import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Announcer } from '../../../src/blob/announcer.ts'
import type { ContentEvents } from '../../../src/blob/ports.ts'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'

const INIT = { maxAnnounced: 20, burst: 3, paceMs: 1_000, reviewMs: 60_000 }

function named(number: number): Digest {
  return digestOf('sha256', number.toString(16).padStart(64, '0'))
}

class FakeContent {
  /** Most recently used first. */
  here: Digest[] = []
  listener: ContentEvents | undefined

  digests(): Iterable<Digest> {
    return this.here
  }

  subscribe(events: ContentEvents): () => void {
    this.listener = events
    return () => {
      this.listener = undefined
    }
  }

  add(digest: Digest): void {
    this.here = [digest, ...this.here]
    this.listener?.added(digest)
  }

  remove(digest: Digest): void {
    this.here = this.here.filter((other) => other !== digest)
    this.listener?.removed(digest)
  }
}

class FakeDirectory {
  readonly calls: string[] = []
  readonly announced = new Set<Digest>()

  announce(key: Digest): void {
    this.calls.push(`announce ${Number(`0x${key.slice(7)}`)}`)
    this.announced.add(key)
  }

  withdraw(key: Digest): void {
    this.calls.push(`withdraw ${Number(`0x${key.slice(7)}`)}`)
    this.announced.delete(key)
  }
}

describe('Announcer', () => {
  let content: FakeContent
  let directory: FakeDirectory
  let announcer: Announcer
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    content = new FakeContent()
    directory = new FakeDirectory()
    announcer = new Announcer({ content, directory }, INIT)
  })
  afterEach(() => {
    announcer.stop()
    const timers = vi.getTimerCount()
    vi.useRealTimers()
    if (timers > 0 || content.listener !== undefined) throw new Error('something was left behind')
  })

  it('announces what is here, most recently used first, a few at once and the others slowly', () => {
    content.here = [1, 2, 3, 4, 5].map(named)
    announcer.start()
    expect(directory.calls).toEqual(['announce 1', 'announce 2', 'announce 3'])
    vi.advanceTimersByTime(1_000)
    expect(directory.calls.slice(3)).toEqual(['announce 4'])
    vi.advanceTimersByTime(10_000)
    expect(directory.calls.slice(3)).toEqual(['announce 4', 'announce 5'])
  })

  it('announces what comes before what still waits', () => {
    content.here = [1, 2, 3, 4, 5].map(named)
    announcer.start()
    content.add(named(9))
    vi.advanceTimersByTime(2_000)
    expect(directory.calls.slice(3)).toEqual(['announce 9', 'announce 4', 'announce 5'])
  })

  it('withdraws what goes, and never announces what went while it waited', () => {
    content.here = [1, 2, 3, 4, 5].map(named)
    announcer.start()
    content.remove(named(2))
    content.remove(named(4))
    vi.advanceTimersByTime(10_000)
    expect(directory.calls.slice(3)).toEqual(['withdraw 2', 'announce 5'])
  })

  it('leaves out what was used least recently beyond the bound, at the start and later', () => {
    content.here = Array.from({ length: 50 }, (_, number) => named(number))
    announcer.start()
    vi.advanceTimersByTime(100_000)
    expect(directory.announced).toEqual(new Set(content.here.slice(0, 20)))
    for (let number = 100; number < 160; number += 1) {
      content.add(named(number))
      expect(directory.announced.size).toBeLessThanOrEqual(21)
    }
    vi.advanceTimersByTime(60_000)
    expect(directory.announced).toEqual(new Set(content.here.slice(0, 20)))
  })

  it('announces later what was left out and is used again', () => {
    content.here = Array.from({ length: 30 }, (_, number) => named(number))
    announcer.start()
    vi.advanceTimersByTime(30_000)
    expect(directory.announced.has(named(29))).toBe(false)
    content.here = [named(29), ...content.here.slice(0, -1)]
    vi.advanceTimersByTime(61_000)
    expect(directory.announced).toEqual(new Set(content.here.slice(0, 20)))
  })

  it('has no timer for its pace once everything is announced, and starts once', () => {
    content.here = [named(1)]
    announcer.start()
    announcer.start()
    expect(directory.calls).toEqual(['announce 1'])
    expect(vi.getTimerCount()).toBe(1)
  })

  it('withdraws nothing when it stops', () => {
    content.here = [named(1)]
    announcer.start()
    announcer.stop()
    expect(directory.calls).toEqual(['announce 1'])
  })
})
