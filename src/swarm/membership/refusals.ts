/**
 * Handshakes that came to nothing, by reason. Owns how many there were, and of which the operator was told: a wrong secret is tried
 * again every few seconds, and strangers may come by the hundred.
 */
import type { Clock } from '../../util/clock.ts'
import type { Logger } from '../../util/logger.ts'
import { lru } from '../../util/lru.ts'
import { RateLimit } from '../../util/rate-limit.ts'
import { parseMultiaddr } from './peer-address.ts'

/**
 * `secret-refused` and `id-refused`: the other side ended it, at this agent's proof or before it said hello; why, it does not
 * tell. The others were found here.
 */
export type Refusal = 'not-allowed' | 'wrong-secret' | 'secret-refused' | 'id-refused' | 'malformed' | 'failed'

const TOLD: Partial<Record<Refusal, string>> = {
  'wrong-secret': 'an agent was turned away: likely its swarm.secretFile holds another secret than that of this agent',
  'secret-refused':
    'an agent turned this one away: likely its swarm.secretFile holds another secret than that of this agent',
  'id-refused':
    'an agent turned this one away before the secret was looked at: likely its swarm.allowPeers lacks this agent, or it shut this agent out',
}

const PER_HOST_MS = 600_000
const PER_HOUR = 12
const MAX_HOSTS = 1_000

export class Refusals {
  readonly counts: Record<Refusal, number> = {
    'not-allowed': 0,
    'wrong-secret': 0,
    'secret-refused': 0,
    'id-refused': 0,
    malformed: 0,
    failed: 0,
  }
  readonly #log: Logger
  readonly #clock: Clock
  readonly #rate: RateLimit
  /** By reason and host, when it was told. */
  readonly #told = lru<string, number>(MAX_HOSTS)

  constructor(components: { readonly log: Logger; readonly clock: Clock }) {
    this.#log = components.log
    this.#clock = components.clock
    this.#rate = new RateLimit(components, { perSecond: PER_HOUR / 3_600, burst: PER_HOUR })
  }

  /** @param at multiaddr of the connection's other end */
  note(why: Refusal, { role, at, error }: { role: 'initiator' | 'responder'; at: string; error: unknown }): void {
    this.counts[why] += 1
    this.#log.debug({ role, why, address: at, err: error }, 'no member')
    const message = TOLD[why]
    if (message === undefined) return
    const address = parseMultiaddr(at)
    const key = `${why} ${address?.host ?? at}`
    const now = this.#clock()
    const before = this.#told.get(key)
    if (before !== undefined && Math.abs(now - before) < PER_HOST_MS) return
    if (!this.#rate.tryTake(1)) return
    this.#told.set(key, now)
    // what connected here did so from a port of no meaning
    const where = address === undefined ? at : role === 'responder' ? address.host : `${address.host}:${address.port}`
    this.#log.warn({ address: where, refusals: this.counts[why] }, message)
  }
}
