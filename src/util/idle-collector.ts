/**
 * Gives memory back once work is done. V8 keeps what loading and pulls left behind until it needs the room, which on a quiet host is never. A
 * full collection that also compacts stops the process for some 100 ms: so it runs once after each busy time, when nothing happens.
 */
export interface IdleCollectorComponents {
  /** Collects and compacts; undefined where the runtime does not offer it (without --expose-gc). */
  readonly collect: (() => void) | undefined
  /** Microseconds of CPU this process has used. */
  readonly cpuMicroseconds: () => number
}

export interface IdleCollectorInit {
  readonly checkMs: number
}

/** Shares of a core over one check. */
const BUSY_SHARE = 0.05
const QUIET_SHARE = 0.02

export class IdleCollector {
  readonly #components: IdleCollectorComponents
  readonly #init: IdleCollectorInit
  #timer: NodeJS.Timeout | undefined
  #isDue = true
  #before = 0

  constructor(components: IdleCollectorComponents, init: IdleCollectorInit) {
    this.#components = components
    this.#init = init
  }

  start(): void {
    if (this.#components.collect === undefined) return
    this.#before = this.#components.cpuMicroseconds()
    this.#timer = setInterval(() => this.#check(), this.#init.checkMs).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #check(): void {
    const { cpuMicroseconds, collect } = this.#components
    const share = (cpuMicroseconds() - this.#before) / (this.#init.checkMs * 1_000)
    if (share > BUSY_SHARE) this.#isDue = true
    else if (share < QUIET_SHARE && this.#isDue) {
      this.#isDue = false
      collect?.()
    }
    this.#before = cpuMicroseconds()
  }
}

/** What `--expose-gc` offers, if it is given. Last resort: also weakly held things go, and pages are given back. */
export function collectorOfRuntime(): (() => void) | undefined {
  const { gc } = globalThis
  if (gc === undefined) return undefined
  return () => {
    gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  }
}
