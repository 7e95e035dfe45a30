/**
 * Tells systemd how the service is (Type=notify, WatchdogSec=): https://www.freedesktop.org/software/systemd/man/sd_notify.html.
 * The socket is of a kind that Node can't open, so the program systemd-notify does it: some milliseconds, a few times an hour.
 * Does nothing where no service manager asked for it. Called by `main`.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

export interface ServiceNotifierComponents {
  /** Sends `KEY=value` lines. */
  readonly send: (lines: readonly string[]) => Promise<void>
}

export interface ServiceNotifierInit {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly pid: number
}

const SEND_MS = 10_000
/** The manager advises half of its limit; a busy host may be late once. */
const BEATS_PER_LIMIT = 3

export class ServiceNotifier {
  readonly #components: ServiceNotifierComponents
  readonly #isAsked: boolean
  readonly #beatMs: number | undefined
  #timer: NodeJS.Timeout | undefined
  #isBeating = false

  constructor(components: ServiceNotifierComponents, { environment, pid }: ServiceNotifierInit) {
    this.#components = components
    this.#isAsked = Boolean(environment['NOTIFY_SOCKET'])
    this.#beatMs = beatOf(environment, pid)
  }

  /** @throws what `send` throws: the manager still waits then */
  async ready(): Promise<void> {
    if (!this.#isAsked) return
    await this.#components.send(['READY=1'])
    if (this.#beatMs !== undefined) this.#timer = setInterval(() => void this.#beat(), this.#beatMs).unref()
  }

  /** The time to stop runs from here on; nothing is wrong if the manager does not hear it. */
  async stopping(): Promise<void> {
    clearInterval(this.#timer)
    if (this.#isAsked) await this.#components.send(['STOPPING=1']).catch(() => {})
  }

  async #beat(): Promise<void> {
    if (this.#isBeating) return
    this.#isBeating = true
    // one that is lost is made up for by the next, and what the manager does without any is what it is there for
    await this.#components.send(['WATCHDOG=1']).catch(() => {})
    this.#isBeating = false
  }
}

function beatOf({ WATCHDOG_USEC, WATCHDOG_PID }: ServiceNotifierInit['environment'], pid: number): number | undefined {
  const limitMs = Number(WATCHDOG_USEC) / 1_000
  const isOurs = WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === pid
  return limitMs > 0 && isOurs ? limitMs / BEATS_PER_LIMIT : undefined
}

const runProgram = promisify(execFile)

/** @throws Error when the program is missing, or the manager does not take it within 10 s */
export async function sendWithSystemdNotify(lines: readonly string[]): Promise<void> {
  await runProgram('systemd-notify', [...lines], { timeout: SEND_MS })
}
