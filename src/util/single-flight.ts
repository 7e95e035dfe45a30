import { linkSignals } from './signals.ts'

interface Flight<T> {
  readonly result: Promise<T>
  readonly stop: AbortController
  waiting: number
}

/**
 * One run of a job per key, however many callers want it. A caller whose signal aborts leaves alone; the job is
 * cancelled only when every caller has left.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>()

  async run(key: string, signal: AbortSignal, job: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    const flight = this.#flights.get(key) ?? this.#start(key, job)
    flight.waiting += 1
    using left = linkSignals([signal])
    const leaving = Promise.withResolvers<never>()
    left.signal.addEventListener('abort', () => leaving.reject(left.signal.reason), { once: true })
    try {
      return await Promise.race([flight.result, leaving.promise])
    } finally {
      flight.waiting -= 1
      if (flight.waiting === 0) {
        if (this.#flights.get(key) === flight) this.#flights.delete(key)
        flight.stop.abort(new DOMException('nobody waits for the result', 'AbortError'))
      }
    }
  }

  #start(key: string, job: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const stop = new AbortController()
    const flight: Flight<T> = { result: job(stop.signal), stop, waiting: 0 }
    this.#flights.set(key, flight)
    const forget = (): void => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    }
    flight.result.then(forget, forget)
    return flight
  }
}
