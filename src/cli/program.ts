import { Command, CommanderError } from 'commander'
import { formatHostPort, type HostPort } from '../util/host-port.ts'
import { addCompletion } from './add-completion.ts'
import { addDoctor, type DoctorComponents } from './add-doctor.ts'
import { addFleetCommands } from './add-fleet-commands.ts'
import { addSupportBundle } from './add-support-bundle.ts'
import type { AdminClient } from './admin-client.ts'
import { CliError } from './cli-error.ts'
import { blobs } from './commands/blobs.ts'
import type { CommandContext } from './commands/command-context.ts'
import { gc } from './commands/gc.ts'
import { peers } from './commands/peers.ts'
import { rm } from './commands/rm.ts'
import { status } from './commands/status.ts'
import { verify } from './commands/verify.ts'
import { examplesOf } from './examples.ts'
import { addSetupCommand, type SetupComponents } from './setup-command.ts'
import type { Terminals } from './terminal.ts'

export interface AgentOptions {
  /** Path of the configuration file. */
  readonly config: string | undefined
  /** `key=value` each. */
  readonly set: readonly string[]
}

export interface CliComponents extends SetupComponents {
  /** Runs the daemon until it is told to stop. */
  readonly runAgent: (options: AgentOptions) => Promise<void>
  /** Where the agent's configuration puts its admin listener. @throws ShoalError CONFIG_INVALID */
  readonly adminAddress: (options: AgentOptions) => HostPort
  readonly stderr: (text: string) => void
  /** Without it there is no such command. */
  readonly doctor?: DoctorComponents
  /** Without it neither is a terminal. */
  readonly terminals?: Terminals
}

interface Options {
  readonly config?: string
  readonly set?: string[]
  readonly admin?: string
  readonly json?: boolean
}

const OK = 0
const USAGE = 2

/**
 * Runs the command that `argv` names.
 * @param argv without the names of Node and the script
 * @returns the exit code: 0 done, 1 it did not work, 2 it was called wrongly
 */
export async function runCli(
  argv: readonly string[],
  components: CliComponents,
  init: { version: string },
): Promise<number> {
  try {
    await buildProgram(components, init).parseAsync(argv, { from: 'user' })
    return OK
  } catch (error) {
    // commander has said what is wrong by now
    if (error instanceof CommanderError) return error.exitCode === 0 ? OK : USAGE
    components.stderr(`shoal: ${error instanceof Error ? error.message : String(error)}\n`)
    return error instanceof CliError ? error.exitCode : 1
  }
}

function buildProgram(components: CliComponents, init: { version: string }): Command {
  const program = new Command('shoal')
    .description('A container image mirror that runs on every host and shares what it has.')
    .version(init.version)
    .exitOverride()
    .showHelpAfterError('(try --help)')
    .configureOutput({ writeOut: components.stdout, writeErr: components.stderr })

  withConfig(program.command('agent').description('run the agent, in the foreground')).action((options: Options) =>
    components.runAgent(agentOptions(options)),
  )
  addSetupCommand(withConfig(program.command('setup')), components)
  const withAgent = (
    name: string,
    description: string,
    run: (client: AdminClient, command: Command) => Promise<void>,
  ): Command => {
    const command = withConfig(program.command(name).description(description))
      .option('--admin <url>', 'where the agent’s admin listener is (default: as in its configuration)')
      .option('--json', 'print JSON')
    return command.action(async () => {
      const loaded = await import('./admin-client.ts')
      await using client = new loaded.AdminClient({ base: adminUrl(command.opts<Options>(), components) })
      await run(client, command)
    })
  }
  const ask = (
    name: string,
    description: string,
    run: (context: CommandContext, digests: string[]) => Promise<void>,
  ): Command =>
    withAgent(name, description, async (client, command) => {
      const { json = false } = command.opts<Options>()
      await run({ client, json, print: components.stdout }, command.args)
    })
  ask('status', 'say what the agent is doing', status)
  ask('peers', 'list the other agents that this one knows, and those that are shut out', peers)
  ask('blobs', 'list the blobs in the store', blobs)
  const { stdout, stderr, terminals = { stdout: undefined, stderr: undefined } } = components
  addFleetCommands({ stdout, stderr, terminals, ask: withAgent })
  if (components.doctor !== undefined) {
    const adminUrlOf = (options: Options): string => adminUrl(options, components)
    const context = { ...components.doctor, stdout, terminals, adminUrl: adminUrlOf }
    addDoctor(withConfig(program.command('doctor')), context, init)
    addSupportBundle(withConfig(program.command('support-bundle')), context, init)
  }
  ask('verify', 'read every blob in the store again, and remove what is bad', verify)
  ask('gc', 'remove what the store does not need', gc)
  ask('rm', 'remove blobs from the store', (context, digests) => rm(digests, context)).argument(
    '<digest...>',
    'digests, or beginnings that only one blob has',
  )
  addCompletion(program, { print: stdout })
  for (const command of program.commands) command.addHelpText('after', examplesOf(command.name()))
  return program
}

function withConfig(command: Command): Command {
  return command
    .option('--config <file>', 'configuration file (default: /etc/shoal/shoal.yaml)')
    .option('--set <key=value>', 'override one key of the configuration', (pair, before: string[] | undefined) => [
      ...(before ?? []),
      pair,
    ])
}

function agentOptions({ config, set }: Options): AgentOptions {
  return { config, set: set ?? [] }
}

/** @throws CliError, or the ShoalError of a bad configuration */
function adminUrl(options: Options, { adminAddress }: CliComponents): string {
  if (options.admin !== undefined) return checkedUrl(options.admin)
  const { host, port } = adminAddress(agentOptions(options))
  if (port === 0)
    throw new CliError('the agent chooses its admin port itself: give the one it reported with --admin', {
      exitCode: 2,
    })
  const anywhere = host === '0.0.0.0' || host === '::'
  return `http://${formatHostPort({ host: anywhere ? 'localhost' : host, port })}`
}

function checkedUrl(text: string): string {
  const url = URL.parse(/^https?:\/\//.test(text) ? text : `http://${text}`)
  const isBare = url !== null && url.pathname === '/' && url.search + url.hash + url.username + url.password === ''
  if (!isBare)
    throw new CliError(`--admin: expected a URL such as http://127.0.0.1:5053, without a path: ${text}`, {
      exitCode: 2,
    })
  return url.origin
}
