import { setTimeout as delay } from 'node:timers/promises'

/** `skip`: it can't be looked at, or is not used here. */
export type CheckState = 'ok' | 'warn' | 'fail' | 'skip'

export interface CheckResult {
  readonly state: CheckState
  /** What was found: one line. */
  readonly text: string
  /** What to do about it. */
  readonly advice?: string
}

export interface Check {
  readonly name: string
  /** What it throws counts as a failure of the check. */
  run(options: { readonly signal: AbortSignal }): Promise<CheckResult>
}

export interface NamedResult extends CheckResult {
  readonly name: string
}

export function ok(text: string): CheckResult {
  return { state: 'ok', text }
}

export function skip(text: string): CheckResult {
  return { state: 'skip', text }
}

export function warn(text: string, advice: string): CheckResult {
  return { state: 'warn', text, advice }
}

export function fail(text: string, advice: string): CheckResult {
  return { state: 'fail', text, advice }
}

/** All at once; results come in the order of the checks. None takes longer than `deadlineMs`, whether or not it heeds its signal. */
export async function* runChecks(
  checks: readonly Check[],
  { deadlineMs }: { readonly deadlineMs: number },
): AsyncGenerator<NamedResult, void, undefined> {
  const running = checks.map(async (check) => ({ name: check.name, ...(await runCheck(check, deadlineMs)) }))
  for (const result of running) yield await result
}

async function runCheck(check: Check, deadlineMs: number): Promise<CheckResult> {
  const stop = new AbortController()
  const late = delay(deadlineMs, undefined, { signal: stop.signal }).then(
    () => warn(`no result within ${Math.round(deadlineMs / 1000)} s`, 'try again; the host may be overloaded'),
    () => skip('ended'),
  )
  try {
    return await Promise.race([check.run({ signal: stop.signal }), late])
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return warn(`could not be looked at: ${message}`, 'see the message')
  } finally {
    stop.abort()
  }
}
