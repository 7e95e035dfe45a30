import { lstatSync, mkdirSync, type Stats, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** Content of private repositories is nobody else's on this host. */
const MODE = 0o700

/**
 * Makes the directory and what it is in, one step at a time: Node's recursive `mkdir` tries for ever where a file system
 * answers ENOENT although the parent is there, as /proc does.
 * @throws the system's error
 */
export function makeDirectory(path: string): void {
  const missing: string[] = []
  for (let at = resolve(path); !isDirectory(at); at = dirname(at)) missing.push(at)
  for (const dir of missing.toReversed()) {
    try {
      mkdirSync(dir, { mode: MODE })
    } catch (error) {
      // somebody else made it meanwhile
      if (!isDirectory(dir)) throw inTheWay(dir, error)
    }
  }
}

/** Linux says of all that is in the way that a file exists. */
function inTheWay(path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (code !== 'EEXIST') return error
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false
  const message = `${path} is ${isLink ? 'a link that leads nowhere' : 'no directory'} (${code})`
  return Object.assign(new Error(message, { cause: error }), { code })
}

function isDirectory(path: string): boolean {
  return statOf(path)?.isDirectory() ?? false
}

/** Undefined where nothing is, or where something in the way is no directory. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}
