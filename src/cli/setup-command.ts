import { Argument, type Command } from 'commander'
import type { SetupConfig, SetupContext, SetupOptions } from './commands/setup.ts'
import type { AgentOptions } from './program.ts'

export interface SetupComponents {
  /** What the agent's configuration says of its clients. @throws ShoalError CONFIG_INVALID */
  readonly setupConfig: (options: AgentOptions) => SetupConfig
  readonly agentProblem?: SetupContext['agentProblem']
  readonly stdout: (text: string) => void
}

const CLIENTS = ['docker', 'containerd', 'podman', 'crio']

const EXAMPLES = `
Examples:
  shoal setup docker --dry-run             show what would be changed
  shoal setup docker                       change it, and reload docker
  shoal setup docker --undo                take it back
  shoal setup containerd --restart         also restart containerd, so that it reads its config.toml
  shoal setup podman --registry quay.io    a mirror for quay.io
  shoal setup containerd --root /host      for the host whose root is mounted there

What was there before is kept in FILE.shoal-undo, beside each file that is changed.
`

/** @param command with `--config` and `--set` */
export function addSetupCommand(command: Command, components: SetupComponents): Command {
  return command
    .description('make a client of this host use the agent, or take that back')
    .addArgument(new Argument('<client>', 'whose configuration to change').choices(CLIENTS))
    .option(
      '--registry <host>',
      'only this registry; may be given several times (default: all that the client can have a mirror for)',
      (host, before: string[] | undefined) => [...(before ?? []), host],
    )
    .option('--mirror <url>', 'where the agent listens for clients (default: as in its configuration)')
    .option('--file <path>', 'the client’s own file (default: where the client looks)')
    .option('--root <dir>', 'prefix of all paths', '/')
    .option('--undo', 'take the setting back')
    .option('--print', 'only print what would be in the files')
    .option('--dry-run', 'only show the differences')
    .option('--restart', 'restart the client, unless it has read its files as they are')
    .option('--no-reload', 'leave a running client alone')
    .option('--json', 'print JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (client: string, options: SetupOptions & { config?: string; set?: string[] }) => {
      // it needs parsers that no other command has a use for
      const { setup } = await import('./commands/setup.ts')
      const config = (): SetupConfig => components.setupConfig({ config: options.config, set: options.set ?? [] })
      const { agentProblem, stdout: print } = components
      await setup(client, options, { config, print, ...(agentProblem && { agentProblem }) })
    })
}
