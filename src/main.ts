/** The edge of the process: argv, signals, exit codes. */
import { startAgent } from './agent.ts'
import { type AgentOptions, runCli } from './cli/program.ts'
import { terminalOf } from './cli/terminal.ts'
import { type Config, loadConfig } from './config.ts'
import { ServiceNotifier, sendWithSystemdNotify } from './util/service-notify.ts'
import { VERSION } from './version.ts'

/** Signals of an operator or a service manager that mean: stop, and finish what is under way. */
const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const

function configOf(options: AgentOptions): Config {
  return loadConfig({ file: options.config, environment: process.env, flags: options.set })
}

/** What nobody has caught leaves the agent in an unknown state. The store bears an end at any moment. */
function onSurprise(tell: (event: string, error: unknown) => void): void {
  for (const event of ['uncaughtException', 'unhandledRejection']) {
    process.on(event, (error: unknown) => {
      try {
        tell(event, error)
      } finally {
        process.exit(1)
      }
    })
  }
}

async function runAgent(options: AgentOptions): Promise<void> {
  // One that comes before the agent is there waits for it: without a listener it would end the process.
  let reload = (): void => {
    isReloadDue = true
  }
  let isReloadDue = false
  process.on('SIGHUP', () => reload())
  const agent = await startAgent({ config: configOf(options), environment: process.env, version: VERSION })
  onSurprise((event, error) => agent.log.error({ event, err: error }, 'a bug: the agent ends'))
  reload = () => void agent.reload(() => configOf(options))
  if (isReloadDue) reload()
  const stopped = Promise.withResolvers<void>()
  for (const signal of STOP_SIGNALS) {
    process.once(signal, () => {
      // A second one does not wait.
      process.once(signal, () => process.exit(1))
      stopped.resolve()
    })
  }
  const manager = new ServiceNotifier({ send: sendWithSystemdNotify }, { environment: process.env, pid: process.pid })
  await manager.ready().catch((error: unknown) => {
    process.stderr.write(`shoal: the service manager could not be told that the agent is ready: ${String(error)}\n`)
  })
  await stopped.promise
  reload = () => {}
  await manager.stopping()
  await agent[Symbol.asyncDispose]()
}

// `shoal blobs | head`: whoever read has had enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})

process.exitCode = await runCli(
  process.argv.slice(2),
  {
    runAgent,
    doctor: {
      config: configOf,
      host: async () => {
        const { systemHostView } = await import('./doctor/host-view.ts')
        return systemHostView({ path: process.env['PATH'] ?? '' })
      },
    },
    adminAddress: (options) => configOf(options).admin.listen,
    setupConfig: (options) => {
      const { facade, origin } = configOf(options)
      return {
        facade: facade.listen,
        defaultRegistry: origin.default,
        registries: Object.keys(origin.registries),
      }
    },
    agentProblem: async (mirror, init) => {
      const loaded = await import('./setup/agent-problem.ts')
      return await loaded.agentProblem(mirror, init)
    },
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
    terminals: { stdout: terminalOf(process.stdout, process.env), stderr: terminalOf(process.stderr, process.env) },
  },
  { version: VERSION },
)
