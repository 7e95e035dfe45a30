/**
 * The client's daemon on this host: makes it read its files again. With systemd it is asked; else the process is taken
 * from its pid file, and signalled only when its name is right, since a pid may be another process's by now, or another
 * namespace's.
 */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { promisify } from 'node:util'
import type { Daemon } from './client-kinds.ts'
import { dockerMirrors } from './docker-info.ts'
import type { HostFiles } from './host-files.ts'
import { refused } from './setup-error.ts'

const DEADLINE_MS = 90_000
const execute = promisify(execFile)

export interface DaemonOutcome {
  readonly done: boolean
  /** It was tried, and did not work. */
  readonly failed: boolean
  /** What was done, or what to do by hand. */
  readonly message: string
}

export class ClientDaemon {
  readonly #files: HostFiles
  readonly #daemon: Daemon

  constructor(components: { files: HostFiles }, init: { daemon: Daemon }) {
    this.#files = components.files
    this.#daemon = init.daemon
  }

  /**
   * For docker, which does not start when a setting is both in its file and on its command line.
   * @param file daemon.json, as the client sees it
   * @throws ShoalError SETUP_REFUSED when the running daemon would not take the setting
   */
  checkCommandLine(file: string): void {
    const pid = this.#pid()
    if (pid === undefined) return
    const argv = procFile(pid, 'cmdline').split('\0')
    if (argv.some((argument) => /^--?registry-mirror(?:=|$)/.test(argument))) {
      throw refused(
        'dockerd runs with --registry-mirror, and would not start with registry-mirrors in its file too: move it there first',
      )
    }
    const given = /(?:^|\0)--?config-file[=\0]([^\0]+)/.exec(argv.join('\0'))?.[1]
    if (given !== undefined && posix.normalize(given) !== posix.normalize(file) && !this.#isSame(given, file)) {
      throw refused(`dockerd reads ${given}: run this with --file ${given}`)
    }
  }

  /** Whether there is one that can be told to read its files again. */
  async isReloadable({ signal }: { signal: AbortSignal }): Promise<boolean> {
    if (this.#daemon.rereads === 'when it starts') return false
    return this.#pid() !== undefined || (await this.#isActive({ signal }))
  }

  async reload({ signal }: { signal: AbortSignal }): Promise<DaemonOutcome> {
    const { unit, program, rereads } = this.#daemon
    if (rereads === 'when it starts') {
      const message = `${program} reads this file when it starts: \`systemctl restart ${unit}\`, or run this with --restart.`
      return { done: false, failed: false, message }
    }
    if (await this.#isActive({ signal })) return await this.#systemctl('reload', { signal })
    const pid = this.#pid()
    if (pid === undefined) {
      const message = `${program} was not found (${this.#lookedFor()}): if it runs, send it SIGHUP; else it reads the file when it starts.`
      return { done: false, failed: false, message }
    }
    process.kill(pid, 'SIGHUP')
    return { done: true, failed: false, message: `sent SIGHUP to ${program} (process ${pid})` }
  }

  async restart({ signal }: { signal: AbortSignal }): Promise<DaemonOutcome> {
    if (await this.#isActive({ signal })) return await this.#systemctl('restart', { signal })
    return { done: false, failed: true, message: `systemd does not run ${this.#daemon.unit} here: restart it by hand.` }
  }

  async #systemctl(verb: 'reload' | 'restart', { signal }: { signal: AbortSignal }): Promise<DaemonOutcome> {
    const command = `systemctl ${verb} ${this.#daemon.unit}`
    try {
      await execute('systemctl', [verb, this.#daemon.unit], { signal, timeout: DEADLINE_MS })
      return { done: true, failed: false, message: command }
    } catch (error) {
      const { stderr = '' } = error as { stderr?: string }
      return { done: false, failed: true, message: `${command} did not work: ${stderr.trim() || String(error)}` }
    }
  }

  /** Another root is another host's: its services are none of ours. */
  async #isActive({ signal }: { signal: AbortSignal }): Promise<boolean> {
    if (this.#files.root !== '/' || !existsSync('/run/systemd/system')) return false
    try {
      await execute('systemctl', ['is-active', '--quiet', this.#daemon.unit], { signal, timeout: DEADLINE_MS })
      return true
    } catch {
      signal.throwIfAborted()
      return false
    }
  }

  #lookedFor(): string {
    const { unit, pidFiles } = this.#daemon
    const files = `by ${pidFiles.join(' and ')}`
    return this.#files.root === '/'
      ? `${files}, nor as systemd's ${unit}.service`
      : `${files} below ${this.#files.root}`
  }

  #pid(): number | undefined {
    for (const path of this.#daemon.pidFiles) {
      const pid = Number(this.#files.read(path)?.text.trim() || 0)
      if (Number.isSafeInteger(pid) && pid > 1 && procFile(pid, 'comm').trim() === this.#daemon.program) return pid
    }
    return undefined
  }

  /** The mirrors that the daemon asks, where it can tell. */
  async mirrorsInUse({ signal }: { signal: AbortSignal }): Promise<readonly string[] | undefined> {
    const { socket } = this.#daemon
    return socket === undefined ? undefined : await dockerMirrors(this.#files.resolve(socket), { signal })
  }

  #isSame(given: string, file: string): boolean {
    return posix.normalize(given) === this.#files.resolve(file)
  }
}

function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch {
    // it ended, or there is no /proc
    return ''
  }
}
