import type { ClientName } from '../setup/setup-types.ts'
import type { AgentView } from './agent-view.ts'
import type { Check } from './check.ts'
import { type ClientCheckInit, type Configured, clientCheck, lastSeenOf } from './client-check.ts'
import type { ClientFilesInit } from './client-files.ts'
import type { HostView } from './host-view.ts'

interface Client extends ClientCheckInit {
  readonly name: ClientName
  readonly program: string
}

/** docker's own containerd says that it is docker; its image store is containerd's. */
const CLIENTS: readonly Client[] = [
  { name: 'docker', program: 'dockerd', families: ['docker', 'buildkit'], example: 'docker pull hello-world' },
  { name: 'containerd', program: 'containerd', families: ['containerd'], example: 'crictl pull hello-world' },
  { name: 'podman', program: 'podman', families: ['podman'], example: 'podman pull hello-world' },
  { name: 'crio', program: 'crio', families: ['cri-o'], example: 'crictl pull hello-world' },
]

/** Who pulls with containerd itself. docker's packages bring containerd along, also where only docker is wanted. */
const CONTAINERD_USERS = ['kubelet', 'k3s', 'crictl', 'nerdctl']
const CRI_FILES = ['/etc/crictl.yaml', '/etc/kubernetes', '/var/lib/kubelet']

export interface ClientChecksComponents {
  readonly agent: AgentView
  readonly host: Pick<HostView, 'hasProgram' | 'exists' | 'now'>
}

/** @param init.root `/`, or what stands for it where clients are looked for */
export function clientChecks({ agent, host }: ClientChecksComponents, init: Omit<ClientFilesInit, 'bound'>): Check[] {
  const files = async (): Promise<ClientFilesInit> => ({
    ...init,
    bound: (await agent.status())?.listening.facade[0],
  })
  // their parsers take time to load
  const isConfigured = async ({ name }: Client): Promise<Configured> => {
    const { configuredIn } = await import('./client-files.ts')
    return configuredIn(name, await files())
  }
  const isSetUp = async (client: Client): Promise<boolean> => {
    if (!(await host.hasProgram(client.program))) return false
    if (lastSeenOf((await agent.status())?.clients, client.families) !== undefined) return true
    return (await isConfigured(client)).state === 'yes'
  }
  return CLIENTS.map((client) =>
    clientCheck(
      {
        agent,
        now: () => host.now(),
        isInstalled: () => host.hasProgram(client.program),
        isConfigured: () => isConfigured(client),
        inUse: async (options) => {
          const [{ clientUse }, { mirrorOf }] = await Promise.all([
            import('./client-use.ts'),
            import('./client-files.ts'),
          ])
          const mirror = mirrorOf(await files())
          if (mirror === undefined) return { state: 'unknown' }
          return await clientUse({ client: client.name, mirror, root: init.root }, options)
        },
        belongsTo: async () =>
          client.name === 'containerd' && (await isDockers(host, init.root)) ? 'docker' : undefined,
        isAnotherSetUp: async () =>
          (await Promise.all(CLIENTS.filter((other) => other !== client).map(isSetUp))).includes(true),
      },
      client,
    ),
  )
}

async function isDockers(host: ClientChecksComponents['host'], root: string): Promise<boolean> {
  if (!(await host.hasProgram('dockerd'))) return false
  const users = await Promise.all([
    ...CONTAINERD_USERS.map((program) => host.hasProgram(program)),
    ...CRI_FILES.map((path) => host.exists(root === '/' ? path : `${root}${path}`)),
  ])
  return !users.includes(true)
}
