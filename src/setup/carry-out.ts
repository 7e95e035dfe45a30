import { setTimeout as delay } from 'node:timers/promises'
import { linkSignals } from '../util/signals.ts'
import type { ClientDaemon, DaemonOutcome } from './client-daemon.ts'
import { isReadPerPull } from './client-kinds.ts'
import type { ClientSetup, SetupStep } from './client-setup.ts'
import { isMirror } from './mirror.ts'

const POLL_MS = 50
// how long a daemon that can't be asked is given to read its file
const READS_MS = 500

export interface CarryOutInit {
  /** Rather than told to read its files again; also when no file is changed, unless it has read them. */
  readonly restart: boolean
  readonly action: 'setup' | 'undo'
  /** Whether the daemon has read its files as they are; undefined when that can't be known. */
  readonly hasRead: (options: { readonly signal: AbortSignal }) => Promise<boolean | undefined>
  /** How long a daemon is waited for that can tell what it uses. */
  readonly takesMs: number
}

/**
 * Makes the changes, and has the client's daemon read them if it does not by itself.
 * @returns undefined when no daemon had to be told
 * @throws ShoalError SETUP_REFUSED when a file can't be written, and then none is changed
 */
export async function carryOut(
  { setup, daemon }: { setup: ClientSetup; daemon: ClientDaemon | undefined },
  step: SetupStep,
  init: CarryOutInit,
  { signal }: { signal: AbortSignal },
): Promise<DaemonOutcome | undefined> {
  const isToldOf = step.changes.some(({ path, now, next }) => now !== next && !isReadPerPull(path))
  const { between } = step
  if (
    daemon !== undefined &&
    isToldOf &&
    !init.restart &&
    between !== undefined &&
    (await daemon.isReloadable({ signal }))
  ) {
    setup.apply([between])
    try {
      return await reload(daemon, step, init, { signal })
    } finally {
      setup.apply(step.changes.map((one) => (one.path === between.path ? { ...one, now: between.next } : one)))
    }
  }
  setup.apply(step.changes)
  if (daemon === undefined) return undefined
  if (init.restart) {
    // Files that are as they should be may have been changed after it had read them.
    if (isToldOf || !(await init.hasRead({ signal }))) return await daemon.restart({ signal })
    return { done: false, failed: false, message: 'It has read its configuration already: not restarted.' }
  }
  return isToldOf ? await reload(daemon, step, init, { signal }) : undefined
}

/** A daemon that can tell what it uses is waited for. */
async function reload(
  daemon: ClientDaemon,
  { mirror }: SetupStep,
  { action, takesMs }: CarryOutInit,
  { signal }: { signal: AbortSignal },
): Promise<DaemonOutcome> {
  const outcome = await daemon.reload({ signal })
  if (!outcome.done || mirror === undefined) return outcome
  using deadline = linkSignals([signal], takesMs)
  const isUsed = action === 'setup'
  for (;;) {
    const mirrors = await daemon.mirrorsInUse({ signal: deadline.signal })
    if (mirrors !== undefined && mirrors.some((url) => isMirror(mirror, url)) === isUsed) {
      return { ...outcome, message: `${outcome.message}, and it ${isUsed ? 'uses' : 'no longer uses'} ${mirror.url}` }
    }
    if (mirrors === undefined && !deadline.signal.aborted) {
      await delay(READS_MS, undefined, { signal: deadline.signal })
      return outcome
    }
    if (deadline.signal.aborted) {
      const message = `${outcome.message}, but it did not take the setting: its log says why, or restart it`
      return { done: false, failed: true, message }
    }
    await delay(POLL_MS, undefined, { signal: deadline.signal }).catch(() => undefined)
  }
}
