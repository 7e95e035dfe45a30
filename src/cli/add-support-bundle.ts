import type { Command } from 'commander'
import { agentUrl, type DoctorContext, load } from './add-doctor.ts'

interface Options {
  readonly config?: string
  readonly set?: string[]
  readonly admin?: string
  readonly output?: string
  readonly withNames?: boolean
  readonly withHosts?: boolean
}

/** It must be of use when the agent is down. @param command with `--config` and `--set` */
export function addSupportBundle(command: Command, context: DoctorContext, init: { readonly version: string }): void {
  command
    .description('gather what is needed to find out what is wrong, without secrets')
    .option('--admin <url>', 'where the agent’s admin listener is (default: as in its configuration)')
    .option('-o, --output <file>', 'a tar.gz that is not there yet (default: shoal-support-TIME.tar.gz, here)')
    .option('--with-names', 'leave names of repositories and tags as they are')
    .option('--with-hosts', 'leave names and addresses of hosts as they are')
    .action(async (options: Options) => {
      const { AdminClient } = await import('./admin-client.ts')
      const { supportBundle } = await import('./commands/support-bundle.ts')
      const loaded = load(context, { config: options.config, set: options.set ?? [] })
      await using client = new AdminClient({ base: agentUrl(context, options, loaded) })
      const diagnose = async (): Promise<string> => {
        const { doctor } = await import('./commands/doctor.ts')
        let said = ''
        const print = (text: string): void => {
          said += text
        }
        const host = await context.host()
        // it fails when a check has: that is told in what it prints
        const failed = await doctor(
          { client, host, loaded, json: true, print, terminal: undefined },
          { ...init, root: '/' },
        ).catch((error: unknown) => error)
        if (said === '' && failed !== undefined) throw failed
        return said
      }
      await supportBundle(
        { client, loaded, diagnose, print: context.stdout, now: () => new Date() },
        {
          path: options.output,
          withNames: options.withNames ?? false,
          withHosts: options.withHosts ?? false,
          version: init.version,
        },
      )
    })
}
