import { isOutage, ShoalError } from '../errors.ts'
import type { Clock } from '../util/clock.ts'
import { type LinkedSignal, linkSignals } from '../util/signals.ts'
import type { Abortable, Origin, OriginOptions, Scope } from './ports.ts'

/** For how long an origin that could not be asked is not asked again when an earlier answer could stand in. */
const MEMORY_MS = 15_000
/** An origin that takes longer may be out: it is time to look for what could stand in. */
const SLOW_MS = 1_000

export interface StandIn {
  /** An earlier answer could take the place of this one. */
  readonly hasStandIn: boolean
  /**
   * Looks elsewhere for what could, while the origin is waited for; called when that is slow or was out just now. May be called
   * by others before and after: the caller of `ask` calls it again when the origin could not be asked.
   * @returns whether something can stand in now
   */
  readonly findStandIn?: (options: Abortable) => Promise<boolean>
}

export interface OutagesComponents {
  readonly origin: Pick<Origin, 'hasLiveMirror'>
  readonly clock: Clock
}

/**
 * Which registries could not be asked of late. An earlier answer stands in soon then: a client does not wait for the whole
 * patience of the origin client at each step of a pull.
 */
export class Outages {
  readonly #components: OutagesComponents
  readonly #init: { readonly patienceMs: number }
  readonly #until = new Map<string, number>()

  /**
   * @param init.patienceMs how long a registry is waited for when an earlier answer of it could stand in; without this agent its
   * clients would wait for ever, so it only has to be longer than what a registry that works takes
   */
  constructor(components: OutagesComponents, init: { readonly patienceMs: number }) {
    this.#components = components
    this.#init = init
  }

  /**
   * Asks the registry; of one that was out just now its mirrors, before anything stands in.
   * @throws ShoalError what `ask` throws; an outage when the patience is over or the registry was out just now
   */
  async ask<T>(
    scope: Scope,
    { signal, hasStandIn, findStandIn }: Abortable & StandIn,
    ask: (options: OriginOptions) => Promise<T>,
  ): Promise<T> {
    const { clock } = this.#components
    const { registry } = scope.repository
    const wasOut = (this.#until.get(registry) ?? 0) > clock()
    const mirrored = wasOut ? await this.#askMirrors(scope, signal, ask) : undefined
    if (mirrored !== undefined && 'answer' in mirrored) return mirrored.answer
    if (hasStandIn && wasOut) {
      const facts = { cause: mirrored?.error, detail: { registry } }
      throw new ShoalError('ORIGIN_UNAVAILABLE', 'the registry could not be asked just now', facts)
    }
    using limited = linkSignals([signal], hasStandIn ? this.#init.patienceMs : undefined)
    using _search = findStandIn && this.#search(findStandIn, limited, wasOut)
    try {
      const answer = await ask({ signal: limited.signal })
      this.#until.delete(registry)
      return answer
    } catch (error) {
      signal.throwIfAborted()
      const isLate = limited.signal.aborted
      if (!isLate && !isOutage(error)) throw error
      this.#until.set(registry, clock() + MEMORY_MS)
      if (!isLate) throw error
      throw new ShoalError('STALLED', 'the registry does not answer in time', { cause: error, detail: { registry } })
    }
  }

  /** A mirror that answers knows more than what could stand in. @returns undefined when there is none to ask */
  async #askMirrors<T>(
    scope: Scope,
    signal: AbortSignal,
    ask: (options: OriginOptions) => Promise<T>,
  ): Promise<{ readonly answer: T } | { readonly error: unknown } | undefined> {
    if (!this.#components.origin.hasLiveMirror(scope)) return undefined
    using limited = linkSignals([signal], this.#init.patienceMs)
    try {
      return { answer: await ask({ signal: limited.signal, mirrorsOnly: true }) }
    } catch (error) {
      signal.throwIfAborted()
      if (!limited.signal.aborted && !isOutage(error)) throw error
      return { error }
    }
  }

  /** What it finds makes waiting as short as an answer that was here from the beginning. */
  #search(find: NonNullable<StandIn['findStandIn']>, limited: LinkedSignal, wasOut: boolean): Disposable {
    let [isFound, isPatienceOver] = [false, wasOut]
    const giveUp = (): void => {
      if (isFound && isPatienceOver) limited.abort(new DOMException('an earlier answer stands in', 'TimeoutError'))
    }
    const search = async (): Promise<void> => {
      isFound = await find(limited).catch(() => false)
      giveUp()
    }
    const patience = setTimeout(() => {
      isPatienceOver = true
      giveUp()
    }, this.#init.patienceMs).unref()
    const slow = setTimeout(() => void search(), wasOut ? 0 : SLOW_MS).unref()
    return {
      [Symbol.dispose]: () => {
        clearTimeout(patience)
        clearTimeout(slow)
      },
    }
  }
}
