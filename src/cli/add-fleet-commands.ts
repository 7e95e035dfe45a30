import type { Command } from 'commander'
import type { AdminClient } from './admin-client.ts'
import { prewarm } from './commands/prewarm.ts'
import { transfers } from './commands/transfers.ts'
import { DEFAULT_HOSTS, type PrewarmOptions, prewarmRequest } from './prewarm-request.ts'
import type { Terminals } from './terminal.ts'

interface Options extends PrewarmOptions {
  readonly json?: boolean
  readonly watch?: boolean
}

export interface FleetCommandComponents {
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  readonly terminals: Terminals
  /** A command with the options of all that ask an agent. */
  readonly ask: (
    name: string,
    description: string,
    run: (client: AdminClient, command: Command) => Promise<void>,
  ) => Command
}

export function addFleetCommands({ stdout, stderr, terminals, ask }: FleetCommandComponents): void {
  ask('transfers', 'list the blobs that are on their way', async (client, command) => {
    const { json = false, watch = false } = command.opts<Options>()
    const forEver = new AbortController()
    await transfers({ client, json, watch, print: stdout, terminal: terminals.stdout }, forEver)
  }).option('--watch', 'again and again, until Ctrl-C')

  ask('prewarm', 'bring images in ahead of the pulls', async (client, command) => {
    const { json = false, ...options } = command.opts<Options>()
    const request = prewarmRequest(command.args, options)
    const bars = terminals.stderr && { terminal: terminals.stderr, write: stderr }
    await prewarm(request, { client, json, print: stdout, bars, clock: () => performance.now() })
  })
    .argument('<image...>', 'as in a pull: nginx:1.27, registry.example:5000/app@sha256:…')
    .option(
      '--platform <platform>',
      'os/architecture[/variant] or `all`; may be given again (default: that of each host)',
      (one, before: string[] | undefined) => [...(before ?? []), one],
    )
    .option('--fleet', 'ask the other agents for them too')
    .option('--hosts <n>', `with --fleet: how many hosts at a time (default: ${DEFAULT_HOSTS})`)
}
