import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { pack } from 'tar-stream'
import { CliError } from '../cli-error.ts'

/**
 * Writes files into a new tar.gz that nobody else may read.
 * @param files by their names inside
 * @throws CliError when it is there already or can't be written
 */
export async function writeBundle(
  path: string,
  files: ReadonlyMap<string, string>,
  init: { readonly folder: string; readonly at: Date },
): Promise<void> {
  const tar = pack()
  for (const [name, content] of files)
    tar.entry({ name: `${init.folder}/${name}`, mtime: init.at, mode: 0o600 }, content)
  tar.finalize()
  try {
    await pipeline(tar, createGzip(), createWriteStream(path, { flags: 'wx', mode: 0o600 }))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CliError(code === 'EEXIST' ? `${path} is there already` : `${path} cannot be written: ${String(code)}`, {
      cause: error,
    })
  }
}
