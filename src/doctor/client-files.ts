import { hasCode } from '../errors.ts'
import { HostFiles } from '../setup/host-files.ts'
import { mirrorAt } from '../setup/mirror.ts'
import { planContainerd } from '../setup/plan-containerd.ts'
import { planContainers } from '../setup/plan-containers.ts'
import { planDocker } from '../setup/plan-docker.ts'
import type { ClientName, Mirror, Planner, SetupFiles } from '../setup/setup-types.ts'
import { type HostPort, parseHostPort } from '../util/host-port.ts'
import type { Configured } from './client-check.ts'

const PLANNERS: Readonly<Record<ClientName, Planner>> = {
  docker: planDocker,
  containerd: planContainerd,
  podman: planContainers,
  crio: planContainers,
}

export interface ClientFilesInit {
  readonly facade: HostPort
  /** Where the agent says that it listens: the configuration may let it choose. */
  readonly bound: string | undefined
  readonly registries: readonly string[]
  readonly defaultRegistry: string
  /** `/`, or what stands for it. */
  readonly root: string
}

/** A client is configured when setting it up again would change nothing for Docker Hub. */
export function configuredIn(client: ClientName, init: ClientFilesInit): Configured {
  const disk = new HostFiles({ root: init.root })
  const files: SetupFiles = {
    read: (path) => disk.read(path)?.text,
    readNow: (path) => disk.read(path)?.text,
    isSetUp: () => false,
    names: (dir) => disk.names(dir),
  }
  try {
    const plan = PLANNERS[client](files, {
      mirror: mirrorAt(placeOf(init)),
      registries: client === 'containerd' ? undefined : ['docker.io'],
      knownRegistries: init.registries,
      defaultRegistry: init.defaultRegistry,
      file: undefined,
    })
    return { state: plan.files.every(({ before, after }) => before === after) ? 'yes' : 'no' }
  } catch (error) {
    if (hasCode(error)) return { state: 'unreadable', why: error.message }
    throw error
  }
}

/** Undefined when nobody can know it. */
export function mirrorOf(init: ClientFilesInit): Mirror | undefined {
  const place = placeOf(init)
  return place.port === 0 ? undefined : mirrorAt(place)
}

function placeOf({ bound, facade }: ClientFilesInit): HostPort {
  return (bound === undefined ? undefined : parseHostPort(bound)) ?? facade
}
