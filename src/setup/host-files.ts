/**
 * The configuration files of a host, or of a folder that is one's root. Links are followed as that host would: none
 * leads out of the root. Reading is bounded, and what is not plain UTF-8 text is refused.
 */
import { randomUUID } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join, posix } from 'node:path'
import { refused } from './setup-error.ts'

export interface FileAttributes {
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

export interface HostFile extends FileAttributes {
  readonly text: string
}

export const NEW_FILE_MODE = 0o644
const NEW_DIR_MODE = 0o755
const MODE_BITS = 0o7777
const MAX_BYTES = 4 * 1024 * 1024
const MAX_LINKS = 40

export class HostFiles {
  readonly root: string

  /** @param init.root `/`, or the folder that stands for it */
  constructor(init: { root: string }) {
    this.root = init.root
  }

  /** Undefined when there is no such file. @throws ShoalError SETUP_REFUSED */
  read(path: string): HostFile | undefined {
    return this.#try('read', path, () => {
      // a pipe must not be waited for
      const file = openSync(this.resolve(path), constants.O_RDONLY | constants.O_NONBLOCK)
      try {
        const { mode, uid, gid, size } = fstatSync(file)
        if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw refused(`${path} is no regular file`)
        if (size > MAX_BYTES) throw refused(`${path} is too large for a configuration: ${size} bytes`)
        return { text: decode(path, readFileSync(file)), mode: mode & MODE_BITS, uid, gid }
      } finally {
        closeSync(file)
      }
    })
  }

  names(dir: string): string[] {
    return this.#try('read', dir, () => readdirSync(this.resolve(dir)).sort()) ?? []
  }

  /** Makes the folder and those above it. @returns those that were not there, the outermost first */
  makeDir(dir: string): string[] {
    const made: string[] = []
    for (const part of ancestors(dir)) {
      this.#try('write', part, () => {
        const real = this.resolve(part)
        if (exists(real)) return
        mkdirSync(real)
        chmodSync(real, NEW_DIR_MODE)
        made.push(part)
      })
    }
    return made
  }

  /** Removes the folder if it is empty. */
  removeEmptyDir(dir: string): void {
    try {
      rmdirSync(this.resolve(dir))
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST', 'ENOENT', 'EBUSY', 'EROFS'].includes(codeOf(error))) throw error
    }
  }

  /** Writes a new file beside `path`, for `replace`. @returns its full path @throws ShoalError SETUP_REFUSED */
  stage(path: string, text: string, attributes: FileAttributes | undefined): string {
    const target = this.resolve(path)
    // replacing it would fail when other files are replaced already
    if (isMountPoint(target)) throw refused(`cannot write ${path}: ${IS_MOUNT}`)
    const staged = join(posix.dirname(target), `.${posix.basename(target)}.shoal-${randomUUID()}`)
    const written = this.#try('write', path, () => {
      const file = openSync(staged, 'wx', 0o600)
      try {
        const bytes = Buffer.from(text)
        for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
        if (attributes !== undefined) fchownSync(file, attributes.uid, attributes.gid)
        fchmodSync(file, attributes?.mode ?? NEW_FILE_MODE)
        fsyncSync(file)
      } catch (error) {
        unlinkSync(staged)
        throw error
      } finally {
        closeSync(file)
      }
      return staged
    })
    if (written === undefined) throw refused(`cannot write ${path}: its folder is gone`)
    return written
  }

  /** Attributes of a file that belongs to whoever runs this. */
  self(mode: number): FileAttributes {
    return { mode, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
  }

  /** Puts a staged file in the place of `path`, at once. */
  replace(path: string, staged: string): void {
    this.#try('write', path, () => {
      const target = this.resolve(path)
      renameSync(staged, target)
      syncDir(posix.dirname(target))
    })
  }

  discard(staged: string): void {
    try {
      unlinkSync(staged)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
    }
  }

  /** Removes the file, if it is there. */
  remove(path: string): void {
    this.#try('write', path, () => unlinkSync(this.resolve(path)))
  }

  /** Where the path is for this process, with its links followed below the root. @throws ShoalError SETUP_REFUSED */
  resolve(path: string): string {
    const left = path.split('/')
    let real: string[] = []
    let links = 0
    for (let part = left.shift(); part !== undefined; part = left.shift()) {
      if (part === '' || part === '.') continue
      if (part === '..') {
        real.pop()
        continue
      }
      const target = linkTarget(join(this.root, ...real, part))
      if (target === undefined) real.push(part)
      else {
        links += 1
        if (links > MAX_LINKS) throw refused(`${path}: too many links`)
        if (target.startsWith('/')) real = []
        left.unshift(...target.split('/'))
      }
    }
    return join(this.root, ...real)
  }

  /** Undefined for a file that is not there. */
  #try<T>(what: 'read' | 'write', path: string, work: () => T): T | undefined {
    try {
      return work()
    } catch (error) {
      const code = codeOf(error)
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
      if (code === '') throw error
      throw refused(`cannot ${what} ${path}: ${HINTS[code] ?? code}`, error)
    }
  }
}

const IS_MOUNT = 'it is a mount of its own: mount the folder it is in instead'
const AS_ROOT = 'permission denied. Run it as root.'
const HINTS: Partial<Record<string, string>> = {
  EACCES: AS_ROOT,
  EPERM: AS_ROOT,
  EROFS: 'the file system is read-only',
  EBUSY: IS_MOUNT,
  EISDIR: 'it is a folder',
  ENOSPC: 'the disk is full',
  ELOOP: 'too many links',
}

function codeOf(error: unknown): string {
  const { code, syscall } = error as { code?: unknown; syscall?: unknown }
  return typeof code === 'string' && typeof syscall === 'string' ? code : ''
}

function exists(real: string): boolean {
  try {
    lstatSync(real)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

function linkTarget(real: string): string | undefined {
  try {
    return readlinkSync(real)
  } catch (error) {
    // no link, or not there
    if (['EINVAL', 'ENOENT', 'ENOTDIR'].includes(codeOf(error))) return undefined
    throw error
  }
}

/** https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html: the fifth field, with octal escapes */
function isMountPoint(real: string): boolean {
  try {
    const points = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
    const octal = (text: string): string => `\\${text.charCodeAt(0).toString(8).padStart(3, '0')}`
    return points.includes(real.replace(/[ \t\n\\]/g, octal))
  } catch {
    // no /proc: the rename will say it
    return false
  }
}

function ancestors(dir: string): string[] {
  const parts = dir.split('/').filter((part) => part !== '')
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`)
}

function syncDir(real: string): void {
  const dir = openSync(real, 'r')
  try {
    fsyncSync(dir)
  } finally {
    closeSync(dir)
  }
}

function decode(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw refused(`${path} is not UTF-8 text. Nothing was changed.`, cause)
  }
}
