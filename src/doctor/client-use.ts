import { containerdRead, usesMirror } from '../setup/has-read.ts'
import { HostFiles } from '../setup/host-files.ts'
import type { ClientName, Mirror } from '../setup/setup-types.ts'
import type { InUse } from './client-check.ts'

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
  const isUsed = await usesMirror(files, mirror, { signal })
  if (isUsed === undefined) return UNKNOWN
  if (isUsed) return { state: 'yes' }
  return {
    state: 'no',
    why: 'is set up, and has not read that yet',
    advice: '`systemctl reload docker`, or send dockerd SIGHUP',
  }
}

function containerdUse(files: HostFiles): InUse {
  const read = containerdRead(files)
  if (read === undefined || read.isRead) return UNKNOWN
  return {
    state: 'no',
    why: 'its config.toml was changed after it started: it may not have read it',
    since: read.changedAt,
    advice: '`systemctl restart containerd`; running containers go on',
  }
}
