import { statSync } from 'node:fs'
import { join } from 'node:path'
import { linkSignals } from '../util/signals.ts'
import { ClientDaemon } from './client-daemon.ts'
import { CLIENTS } from './client-kinds.ts'
import type { HostFiles } from './host-files.ts'
import { isMirror } from './mirror.ts'
import { CONTAINERD_CONFIG } from './plan-containerd.ts'
import { processStart } from './process-start.ts'
import type { ClientName, Mirror } from './setup-types.ts'

const ASK_MS = 5_000
/** As exact as the start of a process is known. */
const START_SLACK_MS = 2_000

export interface HasReadInit {
  readonly client: ClientName
  /** Undefined when it is not known which one was taken back. */
  readonly mirror: Mirror | undefined
  /** Whether the setting is there, or was taken back. */
  readonly action: 'setup' | 'undo'
  /** The client's own file; undefined: where the client looks. */
  readonly file: string | undefined
}

/**
 * Whether the daemon that runs has read its files as they are now.
 * @returns undefined when that can't be known
 */
export async function hasRead(
  files: HostFiles,
  { client, mirror, action, file }: HasReadInit,
  { signal }: { readonly signal: AbortSignal },
): Promise<boolean | undefined> {
  if (client === 'docker' && mirror !== undefined) {
    const isUsed = await usesMirror(files, mirror, { signal })
    return isUsed === undefined ? undefined : isUsed === (action === 'setup')
  }
  return client === 'containerd' ? containerdRead(files, file)?.isRead : undefined
}

/** Whether docker asks the mirror, as it says itself; undefined when it says nothing. */
export async function usesMirror(
  files: HostFiles,
  mirror: Mirror,
  { signal }: { readonly signal: AbortSignal },
): Promise<boolean | undefined> {
  const { daemon } = CLIENTS.docker
  if (daemon === undefined) return undefined
  using within = linkSignals([signal], ASK_MS)
  const mirrors = await new ClientDaemon({ files }, { daemon }).mirrorsInUse(within)
  return mirrors?.some((url) => isMirror(mirror, url))
}

/**
 * containerd reads its file when it starts, and can't be asked.
 * @returns undefined without a process or a file; `changedAt` in milliseconds since the epoch
 */
export function containerdRead(
  files: HostFiles,
  file: string = CONTAINERD_CONFIG,
): { readonly isRead: boolean; readonly changedAt: number } | undefined {
  const proc = join(files.root, 'proc')
  const startedAt = processStart({ program: 'containerd', configFile: file, proc })
  const changedAt = statSync(files.resolve(file), { throwIfNoEntry: false })?.mtimeMs
  if (startedAt === undefined || changedAt === undefined) return undefined
  return { isRead: changedAt <= startedAt + START_SLACK_MS, changedAt }
}
