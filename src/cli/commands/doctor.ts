import { AgentView } from '../../doctor/agent-view.ts'
import { allChecks } from '../../doctor/all-checks.ts'
import { type NamedResult, runChecks } from '../../doctor/check.ts'
import type { LoadedConfig } from '../../doctor/config-check.ts'
import type { HostView } from '../../doctor/host-view.ts'
import type { AdminClient } from '../admin-client.ts'
import { CliError } from '../cli-error.ts'
import { json, plain } from '../output.ts'
import type { Terminal } from '../terminal.ts'

export interface DoctorContext {
  readonly client: Pick<AdminClient, 'status' | 'diagnose'>
  readonly host: HostView
  readonly loaded: LoadedConfig
  readonly json: boolean
  readonly print: (text: string) => void
  /** Standard output, if that is a terminal. */
  readonly terminal: Terminal | undefined
}

const DEADLINE_MS = 30_000
const MARKS = { ok: 'ok  ', warn: 'warn', fail: 'FAIL', skip: '-   ' } as const
const COLORS = { ok: 32, warn: 33, fail: 31, skip: 2 } as const

/** @throws CliError when a check failed */
export async function doctor(
  { client, host, loaded, json: asJson, print, terminal }: DoctorContext,
  init: { readonly version: string; readonly root: string },
): Promise<void> {
  const agent = new AgentView({ status: () => client.status(), diagnose: () => client.diagnose() })
  const checks = allChecks({ agent, host, loaded }, init)
  const width = Math.max(...checks.map(({ name }) => name.length))
  const results: NamedResult[] = []
  for await (const result of runChecks(checks, { deadlineMs: DEADLINE_MS })) {
    results.push(result)
    if (!asJson) print(lineOf(result, width, terminal?.hasColor ?? false))
  }
  const failed = results.filter(({ state }) => state === 'fail').length
  if (asJson) print(json({ ok: failed === 0, checks: results }))
  if (failed > 0) throw new CliError(`${failed} of ${results.length} checks failed`)
}

/** What other agents and files say is in it. */
function lineOf({ name, state, text, advice }: NamedResult, width: number, hasColor: boolean): string {
  const mark = hasColor ? `\u001b[${COLORS[state]}m${MARKS[state]}\u001b[0m` : MARKS[state]
  const todo = advice === undefined ? '' : `. To do: ${advice}`
  return `${mark}  ${name.padEnd(width)}  ${plain(text)}${plain(todo)}\n`
}
