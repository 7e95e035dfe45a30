import type { Command } from 'commander'
import type { Config } from '../config.ts'
import type { LoadedConfig } from '../doctor/config-check.ts'
import type { HostView } from '../doctor/host-view.ts'
import type { AgentOptions } from './program.ts'
import type { Terminals } from './terminal.ts'

export interface DoctorComponents {
  readonly config: (options: AgentOptions) => Config
  readonly host: () => Promise<HostView>
}

const EXIT_CODES = `
Ends with 0 when no check failed, also with warnings; with 1 when one failed, with 2 when it was called wrongly.
`

interface AgentPlace {
  readonly config?: string
  readonly set?: string[]
  readonly admin?: string
}

interface Options extends AgentPlace {
  readonly json?: boolean
  readonly root: string
}

export interface DoctorContext extends DoctorComponents {
  readonly stdout: (text: string) => void
  readonly terminals: Terminals
  /** Where the agent is to be asked. */
  readonly adminUrl: (options: AgentPlace) => string
}

/** It must be of use when the configuration is wrong and the agent is down. @param command with `--config` and `--set` */
export function addDoctor(command: Command, context: DoctorContext, init: { readonly version: string }): void {
  command
    .description('look whether everything works, and say what to do if not')
    .option('--admin <url>', 'where the agent’s admin listener is (default: as in its configuration)')
    .option('--root <dir>', 'prefix of the paths of the clients’ files', '/')
    .option('--json', 'print JSON')
    .addHelpText('after', EXIT_CODES)
    .action(async (options: Options) => {
      const { AdminClient } = await import('./admin-client.ts')
      const { doctor } = await import('./commands/doctor.ts')
      const loaded = load(context, { config: options.config, set: options.set ?? [] })
      await using client = new AdminClient({ base: agentUrl(context, options, loaded) })
      const { stdout: print, terminals, host } = context
      await doctor(
        { client, host: await host(), loaded, json: options.json ?? false, print, terminal: terminals.stdout },
        { ...init, root: options.root },
      )
    })
}

/** The usual place when the configuration can't be read. */
export function agentUrl({ adminUrl }: DoctorContext, options: AgentPlace, loaded: LoadedConfig): string {
  return 'config' in loaded || options.admin !== undefined ? adminUrl(options) : DEFAULT_ADMIN
}

const DEFAULT_ADMIN = 'http://127.0.0.1:5053'

export function load({ config }: DoctorComponents, options: AgentOptions): LoadedConfig {
  try {
    return { config: config(options) }
  } catch (error) {
    return { error: error instanceof Error ? error : new Error(String(error)) }
  }
}
