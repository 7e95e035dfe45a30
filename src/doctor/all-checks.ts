import { parseConfig } from '../config.ts'
import { agentCheck } from './agent-check.ts'
import type { AgentView } from './agent-view.ts'
import type { Check } from './check.ts'
import { type ClientCheckInit, clientCheck } from './client-check.ts'
import { clockCheck } from './clock-check.ts'
import { configCheck, type LoadedConfig } from './config-check.ts'
import { diskCheck } from './disk-check.ts'
import { dnsCheck } from './dns-check.ts'
import type { HostView } from './host-view.ts'
import { packetCheck } from './packet-check.ts'
import { probeCheck } from './probe-check.ts'
import { reachCheck } from './reach-check.ts'
import { registryCheck } from './registry-check.ts'
import { RegistryProbe } from './registry-probe.ts'
import { swarmCheck } from './swarm-check.ts'
import { versionCheck } from './version-check.ts'

export interface AllChecksComponents {
  readonly agent: AgentView
  readonly host: HostView
  readonly loaded: LoadedConfig
}

export interface AllChecksInit {
  readonly version: string
  /** `/`, or what stands for it where clients are looked for. */
  readonly root: string
}

interface Client extends ClientCheckInit {
  readonly program: string
}

/** docker's own containerd says that it is docker; its image store is containerd's. */
const CLIENTS: readonly Client[] = [
  { name: 'docker', program: 'dockerd', families: ['docker', 'buildkit'], example: 'docker pull hello-world' },
  { name: 'containerd', program: 'containerd', families: ['containerd'], example: 'crictl pull hello-world' },
  { name: 'podman', program: 'podman', families: ['podman'], example: 'podman pull hello-world' },
  { name: 'crio', program: 'crio', families: ['cri-o'], example: 'crictl pull hello-world' },
]

/** In the order in which somebody would look. */
export function allChecks({ agent, host, loaded }: AllChecksComponents, init: AllChecksInit): Check[] {
  // what can be said without a configuration is said with the defaults
  const { facade, origin, store, swarm } = 'config' in loaded ? loaded.config : parseConfig({})
  const settings = origin.registries[origin.default]
  const asked = { registry: origin.default, plainHttp: settings?.plainHttp ?? false, ca: settings?.ca }
  const registry = new RegistryProbe({ host }, asked)
  const mirrors = (settings?.mirrors ?? []).map((mirror) => new RegistryProbe({ host }, { ...asked, mirror }))
  const clientFiles = {
    facade: facade.listen,
    registries: Object.keys(origin.registries),
    defaultRegistry: origin.default,
    root: init.root,
  }
  const clients = CLIENTS.map(({ program, ...client }) =>
    clientCheck(
      {
        agent,
        now: () => host.now(),
        isInstalled: () => host.hasProgram(program),
        isConfigured: async () => {
          // its parsers take time to load
          const { configuredIn } = await import('./client-files.ts')
          const bound = (await agent.status())?.listening.facade[0]
          return configuredIn(client.name, { ...clientFiles, bound })
        },
      },
      client,
    ),
  )
  return [
    configCheck({ loaded }),
    agentCheck({ agent }),
    versionCheck({ agent }, init),
    probeCheck({ agent, host }, facade.listen),
    ...clients,
    registryCheck({ registry, mirrors }),
    diskCheck({ agent, host }, { dir: store.dir, quotaBytes: store.quota }),
    dnsCheck({ host }, swarm),
    swarmCheck({ agent, host }, swarm),
    reachCheck({ agent }),
    packetCheck({ agent }),
    clockCheck({ agent, registry }),
  ]
}
