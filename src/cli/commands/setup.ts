import { isAbsolute, resolve } from 'node:path'
import { hasCode } from '../../errors.ts'
import { parseRegistry } from '../../oci/reference.ts'
import { carryOut } from '../../setup/carry-out.ts'
import { ClientDaemon, type DaemonOutcome } from '../../setup/client-daemon.ts'
import { CLIENTS } from '../../setup/client-kinds.ts'
import { ClientSetup, diffOf, type SetupStep } from '../../setup/client-setup.ts'
import { hasRead } from '../../setup/has-read.ts'
import { HostFiles } from '../../setup/host-files.ts'
import { mirrorAt, parseMirror } from '../../setup/mirror.ts'
import { DAEMON_JSON } from '../../setup/plan-docker.ts'
import { CLIENT_NAMES, type ClientName, type Mirror } from '../../setup/setup-types.ts'
import type { HostPort } from '../../util/host-port.ts'
import { CliError } from '../cli-error.ts'
import { json } from '../output.ts'

const TAKES_MS = 10_000

export interface SetupOptions {
  readonly registry?: readonly string[]
  readonly mirror?: string
  readonly file?: string
  readonly root: string
  readonly undo?: boolean
  readonly print?: boolean
  readonly dryRun?: boolean
  readonly restart?: boolean
  readonly reload: boolean
  readonly json?: boolean
}

export interface SetupConfig {
  /** Where the agent listens for clients. */
  readonly facade: HostPort
  readonly defaultRegistry: string
  /** Those that the configuration has settings for. */
  readonly registries: readonly string[]
}

export interface SetupContext {
  /** Asked only when it is needed. @throws ShoalError CONFIG_INVALID */
  readonly config: () => SetupConfig
  /** What keeps clients of this host from being answered there; undefined: nothing. */
  readonly agentProblem?: (mirror: Mirror, init: { readonly root: string }) => Promise<string | undefined>
  readonly print: (text: string) => void
}

/** @throws CliError, ShoalError SETUP_REFUSED or CONFIG_INVALID */
export async function setup(
  name: string,
  given: SetupOptions,
  { config, agentProblem, print }: SetupContext,
): Promise<void> {
  const client = checked(name, given)
  const files = new HostFiles({ root: resolve(given.root) })
  const options = { ...given, ...(given.file !== undefined && { file: fileOf(given.file, files.root) }) }
  const clientSetup = new ClientSetup({ files }, { client })
  const { daemon } = CLIENTS[client]
  const running = daemon && options.reload ? new ClientDaemon({ files }, { daemon }) : undefined
  const planned = options.undo ? clientSetup.planUndo({ file: options.file }) : plan(clientSetup, options, config())
  if (client === 'docker' && !options.undo) running?.checkCommandLine(options.file ?? DAEMON_JSON)
  const isOnlyShown = options.print || options.dryRun
  const isAsked = !options.undo && !isOnlyShown && planned.mirror !== undefined
  const problem = isAsked ? await agentProblem?.(planned.mirror, { root: files.root }) : undefined
  const nothingToRestart =
    options.restart && daemon === undefined ? `${client} is no daemon: there is nothing to restart.` : undefined
  const notes = [...planned.notes, nothingToRestart, problem].filter((note) => note !== undefined)
  const step = { ...planned, notes }
  const report = options.json ? undefined : print
  if (options.print) report?.(printed(step))
  else report?.(step.changes.map(diffOf).join(''))
  const outcome = isOnlyShown ? undefined : await make({ clientSetup, daemon: running, files, client }, step, options)
  if (options.json) print(json(asJson(client, step, options, outcome)))
  else if (!options.print) print(summary(client, step, options, outcome))
  if (outcome?.failed) throw new CliError(outcome.message)
}

function checked(name: string, { undo, print, dryRun, registry }: SetupOptions): ClientName {
  const client = CLIENT_NAMES.find((one) => one === name)
  if (client === undefined) throw new CliError(`no client that is known here: ${name}`, { exitCode: 2 })
  if (undo && print) throw new CliError('--print shows a setting, --undo takes it back: use --dry-run', { exitCode: 2 })
  if (print && dryRun) throw new CliError('--print or --dry-run, not both', { exitCode: 2 })
  if (undo && registry !== undefined) throw new CliError('--undo takes back the whole setting', { exitCode: 2 })
  return client
}

/** Below a root, what a path begins at would be a guess. */
function fileOf(file: string, root: string): string {
  if (root === '/' || isAbsolute(file)) return resolve(file)
  throw new CliError(`--file: with --root, expected a path from that root on: ${file}`, { exitCode: 2 })
}

function plan(clientSetup: ClientSetup, options: SetupOptions, config: SetupConfig): SetupStep {
  return clientSetup.planSetup({
    mirror: mirrorOf(options, config),
    registries: options.registry?.map(registryOf),
    knownRegistries: config.registries,
    defaultRegistry: config.defaultRegistry,
    file: options.file,
  })
}

/** Without a place that can be known, the command lacks an option. */
function mirrorOf({ mirror }: SetupOptions, { facade }: SetupConfig): Mirror {
  try {
    return mirror === undefined ? mirrorAt(facade) : parseMirror(mirror)
  } catch (cause) {
    if (!hasCode(cause)) throw cause
    throw new CliError(cause.message, { cause, exitCode: 2 })
  }
}

function registryOf(text: string): string {
  try {
    return parseRegistry(text)
  } catch (cause) {
    throw new CliError(`--registry: expected a registry, host or host:port: ${text}`, { cause, exitCode: 2 })
  }
}

async function make(
  parts: { clientSetup: ClientSetup; daemon: ClientDaemon | undefined; files: HostFiles; client: ClientName },
  step: SetupStep,
  { restart = false, undo, file }: SetupOptions,
): Promise<DaemonOutcome | undefined> {
  const { clientSetup, daemon, files, client } = parts
  const { signal } = new AbortController()
  const action = undo ? 'undo' : 'setup'
  const { mirror } = step
  return await carryOut(
    { setup: clientSetup, daemon },
    step,
    {
      restart,
      action,
      takesMs: TAKES_MS,
      hasRead: (within) => hasRead(files, { client, mirror, action, file }, within),
    },
    { signal },
  )
}

function printed({ contents }: SetupStep): string {
  const texts = [...contents].map(([path, text = '']) => (contents.size === 1 ? text : `==> ${path} <==\n${text}\n`))
  return texts.join('').replace(/\n\n$/, '\n')
}

function summary(client: ClientName, step: SetupStep, options: SetupOptions, outcome?: DaemonOutcome): string {
  const isChanged = step.changes.length > 0
  const done = options.undo ? 'The setting is taken back' : `${client} is set up`
  const nothing = options.undo
    ? `There is nothing to take back: ${client} was not set up.`
    : `${client} was set up already.`
  const first = isChanged ? (options.dryRun ? 'Nothing was changed.' : `${done}.`) : nothing
  const last = outcome === undefined || outcome.failed ? [] : [outcome.message]
  return `${[first, ...step.notes, ...last].join('\n')}\n`
}

function asJson(client: ClientName, step: SetupStep, options: SetupOptions, outcome?: DaemonOutcome): object {
  const kind = ({ now, next }: SetupStep['changes'][number]): string =>
    now === next ? 'none' : next === undefined ? 'remove' : now === undefined ? 'create' : 'edit'
  return {
    client,
    action: options.undo ? 'undo' : 'setup',
    applied: !options.print && !options.dryRun,
    changes: step.changes.map((change) => ({ path: change.path, change: kind(change), diff: diffOf(change) })),
    ...(options.print && { files: Object.fromEntries(step.contents) }),
    notes: step.notes,
    ...(outcome !== undefined && { daemon: { done: outcome.done, failed: outcome.failed, message: outcome.message } }),
  }
}
