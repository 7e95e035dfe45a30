/**
 * Asks the other agents what they know, for when an origin cannot be asked. Owns the questions under way and the answers of
 * the last moments, "nobody knows" among them, so that the steps of one pull ask once. Whatever the swarm does, an answer
 * is there within ANSWER_MS, and no answer is as if nobody knew. A question goes on when its caller leaves: the next
 * one finds the answer. What is believed of it decide `Access` and `TagResolver`, who call this.
 */

import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/reference.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { lru } from '../util/lru.ts'
import { raceAbort } from '../util/race-abort.ts'
import { linkSignals } from '../util/signals.ts'
import { noSwarm } from './no-swarm.ts'
import type { Abortable, SeenTag, Swarm } from './ports.ts'

const ANSWER_MS = 2_000
const FOUND_MEMORY_MS = 15_000
/** Shorter: what nobody had may be anywhere a moment later. */
const NOTHING_MEMORY_MS = 5_000
const MAX_REMEMBERED = 10_000
/** Beyond it nobody is asked: clients of an outage must not flood the swarm. */
const MAX_UNDER_WAY = 256

type Questions = Pick<Swarm, 'hasPeers' | 'findTag' | 'findAdmission' | 'findLink' | 'hasBlob'>

type Value = SeenTag | number | true | undefined

interface Answer {
  readonly value: Value
  /** Milliseconds since the epoch. */
  readonly until: number
}

export class PeerKnowledge {
  readonly #swarm: Questions
  readonly #clock: Clock
  readonly #log: Logger
  readonly #answers = lru<string, Answer>(MAX_REMEMBERED)
  readonly #underWay = new Map<string, Promise<Value>>()
  readonly #stopped = new AbortController()

  constructor(components: { readonly swarm: Questions; readonly clock: Clock; readonly log: Logger }) {
    this.#swarm = components.swarm
    this.#clock = components.clock
    this.#log = components.log
  }

  /** There is no swarm that could know anything. */
  get isAlone(): boolean {
    return this.#swarm === noSwarm
  }

  /** The newest of what others saw of the tag at the origin. */
  async tag(repository: Repository, tag: string, options: Abortable): Promise<SeenTag | undefined> {
    const ask = (asked: Abortable): Promise<SeenTag | undefined> => this.#swarm.findTag(repository, tag, asked)
    return await this.#ask(`tag ${nameOf(repository)} ${tag}`, ask, options)
  }

  /** When the origin last admitted one of these to the repository, as others remember it: milliseconds since the epoch. */
  async admittedAt(
    repository: Repository,
    identities: readonly string[],
    options: Abortable,
  ): Promise<number | undefined> {
    const ask = (asked: Abortable): Promise<number | undefined> =>
      this.#swarm.findAdmission(repository, identities, asked)
    return await this.#ask(`admission ${nameOf(repository)} ${identities.join(' ')}`, ask, options)
  }

  async isLinked(repository: Repository, digest: Digest, options: Abortable): Promise<boolean> {
    const ask = async (asked: Abortable): Promise<true | undefined> =>
      (await this.#swarm.findLink(repository, digest, asked)) || undefined
    return (await this.#ask(`link ${nameOf(repository)} ${digest}`, ask, options)) ?? false
  }

  async hasBlob(registry: string, digest: Digest, options: Abortable): Promise<boolean> {
    const ask = async (asked: Abortable): Promise<true | undefined> =>
      (await this.#swarm.hasBlob({ registry, digest }, asked)) || undefined
    return (await this.#ask(`blob ${registry} ${digest}`, ask, options)) ?? false
  }

  /** Ends what is under way. */
  stop(): void {
    this.#stopped.abort(new DOMException('the agent stops', 'AbortError'))
  }

  /** @throws the signal's reason, nothing else */
  async #ask<T extends Value>(
    key: string,
    ask: (options: Abortable) => Promise<T>,
    { signal }: Abortable,
  ): Promise<T | undefined> {
    signal.throwIfAborted()
    const known = this.#answers.get(key)
    // The key begins with the kind of question, and so decides on the type of its answer.
    if (known !== undefined && this.#clock() < known.until) return known.value as T
    const running = this.#underWay.get(key)
    if (running === undefined && (!this.#swarm.hasPeers || this.#underWay.size >= MAX_UNDER_WAY)) return undefined
    return (await raceAbort(running ?? this.#start(key, ask), signal)) as T
  }

  #start(key: string, ask: (options: Abortable) => Promise<Value>): Promise<Value> {
    const answer = this.#run(ask).then((value) => {
      this.#underWay.delete(key)
      const memoryMs = value === undefined ? NOTHING_MEMORY_MS : FOUND_MEMORY_MS
      if (!this.#stopped.signal.aborted) this.#answers.set(key, { value, until: this.#clock() + memoryMs })
      return value
    })
    this.#underWay.set(key, answer)
    return answer
  }

  async #run(ask: (options: Abortable) => Promise<Value>): Promise<Value> {
    using limited = linkSignals([this.#stopped.signal], ANSWER_MS)
    try {
      return await raceAbort(ask(limited), limited.signal)
    } catch (error) {
      this.#log.debug({ err: error }, 'peers gave no answer')
      return undefined
    }
  }
}

function nameOf({ registry, name }: Repository): string {
  return `${registry}/${name}`
}
