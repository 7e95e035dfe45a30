/**
 * Network namespaces of the bench, all with a prefix of its own: whatever has it was made here, by this run or by one that was
 * killed. Nothing of the bench is in the machine's own namespace: no link, no bridge, no rule.
 */
import { readdir, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Child, run } from '../../test/fixtures/child.ts'

const PREFIX = 'shoal-fleet-'
const POLL_MS = 20
const GONE_MS = 10_000

export function namespaceOf(name: string): string {
  return PREFIX + name
}

/** Where a run keeps its files: `mkdtemp` adds to it. */
export const DIRECTORY_PREFIX = join(tmpdir(), PREFIX)

/** Arguments of `nsenter` for a program in the namespace; the program takes its place and keeps its pid. */
function entering(name: string, command: string, args: readonly string[]): string[] {
  return [`--net=/run/netns/${namespaceOf(name)}`, '--', command, ...args]
}

export function startInside(
  name: string,
  command: string,
  args: readonly string[],
  options?: Parameters<typeof Child.start>[2],
): Child {
  return Child.start('nsenter', entering(name, command, args), options)
}

export function runInside(name: string, command: string, args: readonly string[]): Promise<string> {
  return run('nsenter', entering(name, command, args))
}

export async function addNamespace(name: string): Promise<void> {
  await run('ip', ['netns', 'add', namespaceOf(name)])
}

/**
 * Keeps other benches of this kind away while this process lives. @returns undefined when there is one
 */
export async function lockBench(): Promise<Server | undefined> {
  const server = createServer()
  const { promise, resolve, reject } = Promise.withResolvers<Server | undefined>()
  server.once('error', (error: NodeJS.ErrnoException) =>
    error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
  )
  // an abstract socket: the kernel lets go of it however this process ends
  server.listen('\0shoal-bench-fleet', () => resolve(server))
  server.unref()
  return promise
}

/** Ends all programs in namespaces of the bench and removes the namespaces, with all links in them. */
export async function removeNamespaces(): Promise<void> {
  const names = (await run('ip', ['-json', 'netns', 'list'])).trim()
  const ours = (JSON.parse(names || '[]') as { name: string }[]).filter(({ name }) => name.startsWith(PREFIX))
  await Promise.all(
    ours.map(async ({ name }) => {
      await endPrograms(name)
      await run('ip', ['netns', 'delete', name])
    }),
  )
}

/** What earlier runs left that were killed. Call it with the lock only. */
export async function removeLeftovers(): Promise<void> {
  await removeNamespaces()
  const entries = await readdir(tmpdir())
  const ours = entries.filter((entry) => entry.startsWith(PREFIX))
  await Promise.all(ours.map((entry) => rm(join(tmpdir(), entry), { recursive: true, force: true })))
}

async function endPrograms(namespace: string): Promise<void> {
  const deadline = performance.now() + GONE_MS
  for (;;) {
    const pids = (await run('ip', ['netns', 'pids', namespace])).split('\n').filter(Boolean).map(Number)
    if (pids.length === 0 || performance.now() > deadline) return
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // it has ended by itself
      }
    }
    await pause(POLL_MS)
  }
}
