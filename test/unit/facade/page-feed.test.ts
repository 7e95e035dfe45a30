import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { PageMessage, PageSections } from '../../../src/facade/page-data.ts'
import { PageFeed } from '../../../src/facade/page-feed.ts'
import { FakeLogger } from '../../fakes/fake-logger.ts'

const INIT = { tickMs: 500, heartbeatMs: 15_000, maxStreams: 3, stallMs: 20_000 }

/** A reader that takes what it is given, or nothing. */
class FakeResponse extends EventEmitter {
  status = 0
  takes = true
  isDestroyed = false
  text = ''

  writeHead(status: number): void {
    this.status = status
  }

  write(text: string): boolean {
    this.text += text
    return this.takes
  }

  destroy(): void {
    if (this.isDestroyed) return
    this.isDestroyed = true
    this.emit('close')
  }

  /** Events since the last call. */
  take(): { name: string; data: PageMessage }[] {
    const found = [...this.text.matchAll(/^event: (.*)\ndata: (.*)$/gm)]
    this.text = ''
    return found.map(([, name = '', data = '']) => ({ name, data: JSON.parse(data) as PageMessage }))
  }
}

function setUp() {
  let looks = 0
  let sections = {
    agent: { version: '1' },
    store: { blobs: 1 },
    traffic: { fromOrigin: 0 },
    swarm: { peers: [] },
    transfers: { running: 0, list: [] },
    ended: [],
    pulls: [],
    samples: [],
  } as unknown as PageSections
  let failure: Error | undefined
  const look = (): PageSections => {
    if (failure !== undefined) throw failure
    looks += 1
    return sections
  }
  const log = new FakeLogger()
  const feed = new PageFeed({ look, clock: Date.now, log }, INIT)
  const open = (): FakeResponse => {
    const response = new FakeResponse()
    expect(feed.add(response as unknown as ServerResponse)).toBe(true)
    return response
  }
  const change = (changed: object): void => {
    sections = { ...sections, ...changed }
  }
  const fail = (error: Error | undefined): void => {
    failure = error
  }
  return {
    feed,
    log,
    fail,
    open,
    change,
    looks: () => looks,
    tick: (count = 1) => vi.advanceTimersByTime(count * INIT.tickMs),
  }
}

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }))
afterEach(() => void vi.useRealTimers())

it('tells everything at first, then what has changed, then nothing', () => {
  const { open, change, tick } = setUp()
  const response = open()
  expect(response.status).toBe(200)
  expect(response.text).toMatch(/^retry: \d+\n\n/)
  const [first, ...more] = response.take()
  expect(more).toEqual([])
  expect(first).toMatchObject({ name: 'snapshot', data: { now: 1_000_000, store: { blobs: 1 }, pulls: [] } })
  change({ store: { blobs: 2 } })
  tick()
  expect(response.take()).toEqual([{ name: 'change', data: { now: 1_000_500, store: { blobs: 2 } } }])
  tick(20)
  expect(response.text).toBe('')
})

it('tells no more than twice a second, however much changes', () => {
  const { open, change, tick } = setUp()
  const response = open()
  response.take()
  for (let blobs = 10; blobs < 30; blobs++) {
    change({ store: { blobs } })
    vi.advanceTimersByTime(100)
  }
  tick()
  expect(response.take().length).toBeLessThanOrEqual(5)
})

it('says with a comment that it is still there', () => {
  const { open, tick } = setUp()
  const response = open()
  response.take()
  tick(31)
  expect(response.text).toMatch(/^(:[^\n]*\n\n){1,2}$/)
})

it('gives a page that comes later everything, and the others nothing of it', () => {
  const { open, change, tick } = setUp()
  const first = open()
  first.take()
  change({ store: { blobs: 7 } })
  tick()
  first.take()
  const second = open()
  expect(second.take()).toMatchObject([{ name: 'snapshot', data: { store: { blobs: 7 } } }])
  expect(first.take()).toEqual([])
})

it('tells of the samples of an hour only the new ones', () => {
  const { open, change, tick } = setUp()
  change({ samples: [[5, 1, 1, 1]] })
  const response = open()
  expect(response.take()).toMatchObject([{ data: { samples: [[5, 1, 1, 1]] } }])
  change({
    samples: [
      [5, 2, 1, 1],
      [6, 1, 0, 0],
    ],
  })
  tick()
  expect(response.take()).toMatchObject([
    {
      data: {
        samples: [
          [5, 2, 1, 1],
          [6, 1, 0, 0],
        ],
      },
    },
  ])
  change({
    samples: [
      [5, 2, 1, 1],
      [6, 9, 0, 0],
    ],
  })
  tick()
  expect(response.take()).toMatchObject([{ data: { samples: [[6, 9, 0, 0]] } }])
})

describe('a reader that does not keep up', () => {
  it('is written nothing more, and everything once it has caught up', () => {
    const { open, change, tick } = setUp()
    const response = open()
    response.take()
    response.takes = false
    change({ store: { blobs: 2 } })
    tick()
    expect(response.take()).toHaveLength(1)
    change({ store: { blobs: 3 } })
    tick(10)
    expect(response.text).toBe('')
    response.takes = true
    response.emit('drain')
    tick()
    expect(response.take()).toMatchObject([{ name: 'snapshot', data: { store: { blobs: 3 } } }])
    tick(5)
    expect(response.text).toBe('')
  })

  it('misses nothing when nothing has changed meanwhile', () => {
    const { open, change, tick } = setUp()
    const response = open()
    response.takes = false
    change({ store: { blobs: 2 } })
    tick()
    response.take()
    response.emit('drain')
    tick(3)
    expect(response.take()).toEqual([])
  })

  it('is dropped when it takes too long, and holds up nobody', () => {
    const { feed, open, change, tick } = setUp()
    const [slow, good] = [open(), open()]
    good.take()
    slow.takes = false
    for (let blobs = 0; blobs < 42; blobs++) {
      change({ store: { blobs } })
      tick()
    }
    expect(slow.isDestroyed).toBe(true)
    expect(good.take()).toHaveLength(42)
    expect(feed.streamCount).toBe(1)
  })
})

it('refuses more streams than it may have, until one leaves', () => {
  const { feed, open } = setUp()
  const [first] = [open(), open(), open()]
  const fourth = new FakeResponse()
  expect(feed.add(fourth as unknown as ServerResponse)).toBe(false)
  expect(fourth.status).toBe(0)
  first.destroy()
  expect(feed.add(fourth as unknown as ServerResponse)).toBe(true)
})

it('ends the streams when there is nothing to be told, and tells the next ones', () => {
  const { feed, log, fail, open, tick } = setUp()
  const first = open()
  fail(new Error('no status'))
  tick()
  expect([first.isDestroyed, feed.streamCount, vi.getTimerCount()]).toEqual([true, 0, 0])
  expect(log.lines).toMatchObject([{ level: 'error' }])
  fail(undefined)
  expect(open().take()).toMatchObject([{ name: 'snapshot' }])
})

it('does nothing while no page is open, and starts afresh', () => {
  const { feed, open, looks, tick } = setUp()
  const first = open()
  first.destroy()
  const before = looks()
  tick(100)
  expect([looks(), vi.getTimerCount()]).toEqual([before, 0])
  expect(open().take()).toMatchObject([{ name: 'snapshot' }])
  feed.stop()
  expect([feed.streamCount, vi.getTimerCount()]).toEqual([0, 0])
})
