/**
 * `node scripts/desk-capacity.ts [AGENTS…]`: how many asks for leases a coordinator carries, per second of CPU: a real desk in this process, with what is read and written
 * but without cipher, streams and system calls. The agents fetch from an origin of 100 Mbit/s; each asks again when it has brought something, or a second later. Only the desk is timed.
 */
import { planChunks } from '../src/blob/chunk-plan.ts'
import { digestOf } from '../src/oci/digest.ts'
import { frame } from '../src/swarm/encoding/frames.ts'
import { chunksIn, rangesOf } from '../src/swarm/leases/chunk-ranges.ts'
import { LeaseDesk } from '../src/swarm/leases/lease-desk.ts'
import {
  decodeMessage,
  encodeMessage,
  type LeasedMessage,
  MAX_LEASE_RANGES,
} from '../src/swarm/protocol/wire-messages.ts'
import { onTime } from '../src/util/lateness.ts'
import { fastRandom } from './simulate/fast-random.ts'

const KEY = { digest: digestOf('sha256', 'ab'.repeat(32)), registry: 'registry.example:5000' }
const PLAN = planChunks(32 * 1024 * 1024)
const ASKS = 40_000
/** A chunk of 256 KiB on the origin's link. */
const CHUNK_MS = 21
const ASK_AGAIN_MS = 1_000
/** News of a chunk reach everybody. */
const NEWS_MS = 300

interface Asker {
  readonly id: string
  heard: number
  held: number[]
  dueAt: number
}

class Capacity {
  readonly #askers: Asker[]
  readonly #desk: LeaseDesk
  readonly #broughtAt = new Map<number, number>()
  #now = 0
  #answers = 0
  #originFreeAt = 0

  constructor(agents: number) {
    const random = fastRandom('desk')
    this.#askers = Array.from({ length: agents }, (_, at) => {
      return {
        id: `12D3KooWJRLQfzAuMcNYoFRTnGj5xJeqYQGPhmc6b8U${at}`,
        heard: 0,
        held: [],
        dueAt: random() * ASK_AGAIN_MS,
      }
    })
    const byId = new Map(this.#askers.map((asker) => [asker.id, asker]))
    this.#desk = new LeaseDesk({
      members: { self: 'desk', connected: new Map() },
      clock: () => this.#now,
      lateness: onTime,
      metrics: { leased: () => {}, leasesExpired: () => {} },
      answer: (peer, message) => {
        this.#answers += 1
        frame(encodeMessage(message))
        const asker = byId.get(peer)
        if (asker !== undefined && message.type === 'leased') this.#answered(asker, message)
      },
    })
  }

  /** @returns messages in and out, and CPU time in microseconds */
  run(): { readonly messages: number; readonly micros: number } {
    let asks = 0
    let micros = 0
    while (asks < ASKS) {
      const due = this.#askers.filter(({ dueAt }) => dueAt <= this.#now)
      const said = due.map((asker) => ({ asker, bytes: this.#ask(asker) }))
      asks += said.length
      const before = process.threadCpuUsage()
      for (const { asker, bytes } of said) {
        const message = decodeMessage(bytes)
        if (message.type === 'lease') this.#desk.asked(asker.id, message)
      }
      const { user, system } = process.threadCpuUsage(before)
      micros += user + system
      this.#now += 10
      if (this.#broughtAt.size === PLAN.count) this.#broughtAt.clear()
    }
    this.#desk.stop()
    return { messages: asks + this.#answers, micros }
  }

  #ask(asker: Asker): Uint8Array {
    for (const chunk of asker.held) this.#broughtAt.set(chunk, this.#now)
    asker.held = []
    asker.dueAt = this.#now + ASK_AGAIN_MS
    const gaps = rangesOf(
      Array.from({ length: PLAN.count }, (_, chunk) => chunk).filter(
        (chunk) => this.#now - (this.#broughtAt.get(chunk) ?? Infinity) < NEWS_MS || !this.#broughtAt.has(chunk),
      ),
    ).slice(0, MAX_LEASE_RANGES)
    const { heard } = asker
    const size = PLAN.size
    return encodeMessage({ type: 'lease', ...KEY, size, gaps, fetching: [], most: 4, heard, leaves: false })
  }

  #answered(asker: Asker, { serial, ranges, forMs }: LeasedMessage): void {
    asker.heard = serial
    asker.held = [...chunksIn(ranges)]
    if (asker.held.length === 0) {
      asker.dueAt = this.#now + Math.max(50, forMs)
      return
    }
    this.#originFreeAt = Math.max(this.#originFreeAt, this.#now) + CHUNK_MS * asker.held.length
    asker.dueAt = this.#originFreeAt
  }
}

const wanted = process.argv.slice(2).map(Number)
for (const agents of wanted.length > 0 ? wanted : [16, 1_000, 10_000]) {
  const { messages, micros } = new Capacity(agents).run()
  const perMessage = micros / messages
  console.log(
    `${agents} agents: ${perMessage.toFixed(1)} µs a message, ${Math.round(1e6 / perMessage)} messages per second of CPU`,
  )
}
