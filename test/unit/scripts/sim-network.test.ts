import { describe, expect, it } from 'vitest'
import { EventQueue } from '../../../scripts/simulate/event-queue.ts'
import { type NetworkInit, Port, SimNetwork } from '../../../scripts/simulate/sim-network.ts'

const KIB = 1024

function world(init: Partial<NetworkInit> = {}) {
  const events = new EventQueue()
  const network = new SimNetwork(
    { events },
    { latencyMs: 1, queueMs: 50, quantumBytes: 16 * KIB, wireFactor: 1, ...init },
  )
  /** Rates in bytes per millisecond. */
  const port = (up: number, down = up, zone = 0): Port =>
    new Port({ name: 'p', upRate: up * 8_000, downRate: down * 8_000, zone })
  const ends: number[] = []
  const flow = (from: Port, to: Port, bytes: number) => {
    const at = ends.push(Number.NaN) - 1
    return network.start(from, to, bytes, {
      arrived: () => {},
      ended: () => {
        ends[at] = events.now
      },
    })
  }
  const run = (): number[] => {
    while (events.step()) {}
    return ends
  }
  return { events, network, port, flow, run }
}

describe('EventQueue', () => {
  it('lets things happen in the order of time, and of planning at one moment', () => {
    const events = new EventQueue()
    const seen: string[] = []
    for (const [at, name] of [
      [5, 'c'],
      [1, 'a'],
      [5, 'd'],
      [1, 'b'],
      [-3, 'now'],
    ] as const)
      events.at(at, () => void seen.push(`${name}${events.now}`))
    while (events.step()) {}
    expect(seen).toEqual(['now0', 'a1', 'b1', 'c5', 'd5'])
  })
})

describe('SimNetwork', () => {
  it('lets one flow have the slower of its two links', () => {
    const { port, flow, run } = world()
    flow(port(1_000), port(500), 1_000 * KIB)
    const [end] = run()
    expect(end).toBeGreaterThan((1_000 * KIB) / 500)
    expect(end).toBeLessThan(((1_000 * KIB) / 500) * 1.03)
  })

  it('keeps a link full over a long way', () => {
    const { port, flow, run } = world({ latencyMs: 50 })
    flow(port(1_000), port(1_000), 10_000 * KIB)
    expect(run()[0]).toBeLessThan(((10_000 * KIB) / 1_000) * 1.05)
  })

  it('shares an uplink equally, and a downlink', () => {
    for (const isUplink of [true, false]) {
      const { port, flow, run } = world()
      const narrow = port(1_000)
      for (let at = 0; at < 4; at++) {
        if (isUplink) flow(narrow, port(1_000), 500 * KIB)
        else flow(port(1_000), narrow, 500 * KIB)
      }
      for (const end of run()) expect(Math.abs(end / ((4 * 500 * KIB) / 1_000) - 1)).toBeLessThan(0.05)
    }
  })

  it('gives others what a slow receiver cannot take: within 5 % of max-min shares', () => {
    const { port, flow, run } = world()
    const sender = port(1_000)
    // 100 for the slow one, 450 for each of the others
    flow(sender, port(1_000, 100), 200 * KIB)
    flow(sender, port(1_000), 900 * KIB)
    flow(sender, port(1_000), 900 * KIB)
    for (const end of run()) expect(Math.abs(end / ((900 * KIB) / 450) - 1)).toBeLessThan(0.05)
  })

  it('lets all that crosses a border share it, and nothing else wait for it', () => {
    const { network, port, flow, run } = world({ borderRate: 100 * 8_000 })
    const far = port(1_000, 1_000, 1)
    flow(port(1_000), far, 100 * KIB)
    flow(port(1_000), port(1_000, 1_000, 1), 100 * KIB)
    flow(port(1_000, 1_000, 1), far, 100 * KIB)
    const [one, two, inside] = run()
    expect(one).toBeGreaterThan(1.9 * KIB)
    expect(two).toBeLessThan(2.1 * KIB)
    expect(inside).toBeLessThan(0.2 * KIB)
    expect(network.bordersOf(1)).toBe(200 * KIB)
  })

  it('lets a message wait behind the bytes of a busy link, but not for longer than its queue', () => {
    const { network, port, flow } = world()
    const [busy, idle] = [port(10), port(10)]
    expect(network.delay(idle, idle)).toBe(1)
    for (let at = 0; at < 100; at++) flow(busy, idle, 100 * KIB)
    expect(network.delay(busy, port(10))).toBe(51)
  })

  it('sends nothing more of what is cancelled', () => {
    const { events, network, port, flow, run } = world()
    const sender = port(100)
    const cancelled = flow(sender, port(100), 1_000 * KIB)
    events.after(100, () => network.cancel(cancelled))
    expect(run()[0]).toBeNaN()
    expect(sender.sentBytes).toBeLessThan(100 * 100 + 2 * 16 * KIB)
    expect(events.now).toBeLessThan(1_000)
  })
})
