import { dirname } from 'node:path'
import { formatBytes } from '../util/byte-size.ts'
import type { AgentView } from './agent-view.ts'
import { type Check, type CheckResult, fail, ok, skip, warn } from './check.ts'
import type { DiskSpace, HostView } from './host-view.ts'

const GIB = 1024 ** 3
const LITTLE_BYTES = GIB
const LITTLE_INODES_SHARE = 0.01

/** Until then the agent has no store: it looks at the directory when it starts. */
const NO_RIGHTS = 'run the agent as root, or give it a directory of its own: `--set store.dir=$HOME/.cache/shoal`'
const NO_ROOM = 'make room on the disk, or see to the rights of the directory; restart the agent if this stays'

export interface DiskCheckInit {
  readonly dir: string
  readonly quotaBytes: number
}

/** The store can be written, and what it may take is there. */
export function diskCheck(
  { agent, host }: { readonly agent: AgentView; readonly host: Pick<HostView, 'space' | 'writeError' | 'exists'> },
  init: DiskCheckInit,
): Check {
  return {
    name: 'disk',
    run: async (): Promise<CheckResult> => {
      const store = (await agent.status())?.store
      const dir = store?.dir ?? init.dir
      const error = await host.writeError(dir)
      if (error === 'EROFS')
        return fail(`${dir} is mounted read-only`, 'mount it for writing: a disk with errors is the usual reason')
      if (store?.writable === false) {
        return fail(
          `the agent cannot write to ${dir}: blobs are passed through and not kept`,
          error === 'EACCES' || error === 'ENOENT' ? NO_RIGHTS : NO_ROOM,
        )
      }
      if (error === 'ENOENT' && store === undefined) return await missing(host, dir)
      const space = await spaceOf(host, dir)
      if (space === undefined)
        return store === undefined ? skip(`${dir} may not be read by this user`) : ok(`${dir} can be written`)
      return judge(space, dir, (store?.quotaBytes ?? init.quotaBytes) - (store?.bytes ?? 0))
    },
  }
}

async function missing(host: Pick<HostView, 'exists'>, dir: string): Promise<CheckResult> {
  if (await host.exists(dirname(dir))) return ok(`${dir} will be made when the agent starts`)
  return warn(`${dir} does not exist, nor does what it is in`, 'make it, or change store.dir')
}

async function spaceOf(host: Pick<HostView, 'space'>, dir: string): Promise<DiskSpace | undefined> {
  return await host.space(dir).catch(() => undefined)
}

/** @param mayTake bytes that the store may still grow by */
function judge({ freeBytes, inodes, freeInodes }: DiskSpace, dir: string, mayTake: number): CheckResult {
  const free = `${formatBytes(freeBytes)} free at ${dir}`
  if (inodes > 0 && freeInodes < inodes * LITTLE_INODES_SHARE) {
    return fail(`${freeInodes} of ${inodes} inodes are free at ${dir}`, 'remove small files on this file system')
  }
  if (freeBytes < LITTLE_BYTES) return fail(free, 'make room: on a full disk blobs are passed through and not kept')
  if (mayTake > freeBytes) {
    return warn(
      `${free}, and the store may take ${formatBytes(mayTake)} more`,
      'make store.quota smaller, or the disk larger',
    )
  }
  return ok(free)
}
