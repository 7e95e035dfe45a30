/** What checks see of this host and its network; tests put their own in its place. */
import { lookup } from 'node:dns/promises'
import { constants } from 'node:fs'
import { access, readFile, stat, statfs } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { networkInterfaces } from 'node:os'
import { delimiter, join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from 'undici'
import type { HostPort } from '../util/host-port.ts'
import { raceAbort } from '../util/race-abort.ts'
import { linkSignals } from '../util/signals.ts'

export interface Within {
  readonly signal: AbortSignal
}

export type Reached = 'reached' | 'refused' | 'timeout'

export interface DiskSpace {
  readonly freeBytes: number
  readonly totalBytes: number
  /** 0 where the file system does not count them. */
  readonly inodes: number
  readonly freeInodes: number
}

export interface HttpHead {
  readonly status: number
  /** Milliseconds since the epoch, by the other side's clock. */
  readonly date: number | undefined
}

export interface GetInit {
  readonly userAgent: string
  /** Over the proxy that the environment names. */
  readonly byProxy?: boolean
  /** PEM file with further authorities. */
  readonly ca?: string | undefined
}

export interface HostView {
  /** All addresses of the name. @throws the resolver's error */
  resolve(name: string, options: Within): Promise<readonly string[]>
  connect(address: HostPort, options: Within): Promise<Reached>
  /** @throws the error of the connection */
  get(url: string, init: GetInit, options: Within): Promise<HttpHead>
  /** Of the file system that holds `path`. @throws the system's error, ENOENT among them */
  space(path: string): Promise<DiskSpace>
  /** @returns the code of the system's error, undefined when this process may write there */
  writeError(dir: string): Promise<string | undefined>
  exists(path: string): Promise<boolean>
  /** Whether a program of this name is installed. */
  hasProgram(name: string): Promise<boolean>
  ownAddresses(): readonly string[]
  now(): number
}

const CONNECT_MS = 3_000
const GET_MS = 6_000
/** Where daemons are, which a user's PATH may not name. */
const MORE_PATHS = ['/usr/sbin', '/usr/local/sbin', '/sbin', '/usr/local/bin', '/usr/bin']

/** @param init.path the PATH of the process */
export function systemHostView(init: { readonly path: string }): HostView {
  return {
    resolve: async (name, { signal }) => {
      const found = await raceAbort(lookup(name, { all: true }), signal)
      return found.map(({ address }) => address)
    },
    connect,
    get: async (url, { userAgent, byProxy = false, ca }, { signal }) => {
      using within = linkSignals([signal], GET_MS)
      const connect = ca === undefined ? {} : { ca: [...rootCertificates, await readFile(ca, 'utf8')] }
      await using dispatcher = destroyed(
        byProxy ? new EnvHttpProxyAgent({ connect, requestTls: connect }) : new Agent({ connect }),
      )
      const answer = await request(url, { headers: { 'user-agent': userAgent }, signal: within.signal, dispatcher })
      await answer.body.dump()
      const date = Date.parse(String(answer.headers['date'] ?? ''))
      return { status: answer.statusCode, date: Number.isNaN(date) ? undefined : date }
    },
    space: async (path) => {
      const { bsize, bavail, blocks, files, ffree } = await statfs(path)
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize, inodes: files, freeInodes: ffree }
    },
    writeError: async (dir) => {
      try {
        await access(dir, constants.W_OK)
        return undefined
      } catch (error) {
        return (error as NodeJS.ErrnoException).code ?? 'unknown'
      }
    },
    exists: async (path) =>
      await stat(path).then(
        () => true,
        () => false,
      ),
    hasProgram: async (name) => {
      const dirs = new Set([...init.path.split(delimiter).filter((dir) => dir !== ''), ...MORE_PATHS])
      for (const dir of dirs) {
        const isThere = await access(join(dir, name), constants.X_OK).then(
          () => true,
          () => false,
        )
        if (isThere) return true
      }
      return false
    },
    ownAddresses: () =>
      Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)),
    now: Date.now,
  }
}

/** Its connections are let go at once. */
function destroyed<T extends Dispatcher>(dispatcher: T): T & AsyncDisposable {
  return Object.assign(dispatcher, { [Symbol.asyncDispose]: () => dispatcher.destroy() })
}

async function connect({ host, port }: HostPort, { signal }: Within): Promise<Reached> {
  using within = linkSignals([signal], CONNECT_MS)
  const socket = createConnection({ host, port })
  const connected = Promise.withResolvers<Reached>()
  socket.once('connect', () => connected.resolve('reached'))
  socket.on('error', (error: NodeJS.ErrnoException) =>
    connected.resolve(error.code === 'ECONNREFUSED' ? 'refused' : 'timeout'),
  )
  try {
    return await raceAbort(connected.promise, within.signal)
  } catch {
    signal.throwIfAborted()
    return 'timeout'
  } finally {
    socket.destroy()
  }
}
