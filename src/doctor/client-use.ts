import { statSync } from 'node:fs'
import { join } from 'node:path'
import { ClientDaemon } from '../setup/client-daemon.ts'
import { CLIENTS } from '../setup/client-kinds.ts'
import { HostFiles } from '../setup/host-files.ts'
import { isMirror } from '../setup/mirror.ts'
import { CONTAINERD_CONFIG } from '../setup/plan-containerd.ts'
import type { ClientName, Mirror } from '../setup/setup-types.ts'
import { linkSignals } from '../util/signals.ts'
import type { InUse } from './client-check.ts'
import { processStart } from './process-start.ts'

const ASK_MS = 5_000
/** As exact as the start of a process is known. */
const START_SLACK_MS = 2_000
const UNKNOWN: InUse = { state: 'unknown' }

export interface ClientUseInit {
  readonly client: ClientName
  readonly mirror: Mirror
  /** `/`, or what stands for it. */
  readonly root: string
}

/** Whether the client that runs has taken the setting, as far as it can be known. podman reads its files at every pull. */
export async function clientUse(init: ClientUseInit, { signal }: { readonly signal: AbortSignal }): Promise<InUse> {
  const files = new HostFiles({ root: init.root })
  if (init.client === 'docker') return await dockerUse(files, init.mirror, { signal })
  if (init.client === 'containerd') return containerdUse(files)
  return UNKNOWN
}

async function dockerUse(files: HostFiles, mirror: Mirror, { signal }: { signal: AbortSignal }): Promise<InUse> {
  const { daemon } = CLIENTS.docker
  if (daemon === undefined) return UNKNOWN
  using within = linkSignals([signal], ASK_MS)
  const mirrors = await new ClientDaemon({ files }, { daemon }).mirrorsInUse(within)
  if (mirrors === undefined) return UNKNOWN
  if (mirrors.some((url) => isMirror(mirror, url))) return { state: 'yes' }
  return { state: 'no', advice: '`systemctl reload docker`, or send dockerd SIGHUP' }
}

function containerdUse(files: HostFiles): InUse {
  const proc = join(files.root, 'proc')
  const startedAt = processStart({ program: 'containerd', configFile: CONTAINERD_CONFIG, proc })
  const changedAt = statSync(files.resolve(CONTAINERD_CONFIG), { throwIfNoEntry: false })?.mtimeMs
  if (startedAt === undefined || changedAt === undefined) return UNKNOWN
  if (changedAt <= startedAt + START_SLACK_MS) return UNKNOWN
  return { state: 'no', since: changedAt, advice: '`systemctl restart containerd`; running containers go on' }
}
