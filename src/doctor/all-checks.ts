import { parseConfig } from '../config.ts'
import { agentCheck } from './agent-check.ts'
import type { AgentView } from './agent-view.ts'
import type { Check } from './check.ts'
import { clientChecks } from './client-checks.ts'
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

/** In the order in which somebody would look. */
export function allChecks({ agent, host, loaded }: AllChecksComponents, init: AllChecksInit): Check[] {
  // what can be said without a configuration is said with the defaults
  const { facade, origin, store, swarm } = 'config' in loaded ? loaded.config : parseConfig({})
  const settings = origin.registries[origin.default]
  const asked = { registry: origin.default, plainHttp: settings?.plainHttp ?? false, ca: settings?.ca }
  const registry = new RegistryProbe({ host }, asked)
  const mirrors = (settings?.mirrors ?? []).map((mirror) => new RegistryProbe({ host }, { ...asked, mirror }))
  const clients = clientChecks(
    { agent, host },
    {
      facade: facade.listen,
      registries: Object.keys(origin.registries),
      defaultRegistry: origin.default,
      root: init.root,
    },
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
