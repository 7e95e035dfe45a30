import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname } from 'node:path'

const DIRECTORY = new URL('page/', import.meta.url)
const TYPES: Partial<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

export interface PageAsset {
  readonly type: string
  /** As the header has it, with quotes. */
  readonly etag: string
  readonly body: Buffer
}

export interface PageAssets {
  /** By path; the page itself is `/`. */
  readonly files: ReadonlyMap<string, PageAsset>
  /** Changes with any of them. */
  readonly hash: string
}

/** Reads the page's files, which then stay in memory. @throws the file system's error */
export async function loadPageAssets(): Promise<PageAssets> {
  const names = (await readdir(DIRECTORY)).filter((name) => TYPES[extname(name)] !== undefined).sort()
  const all = createHash('sha256')
  const files = new Map<string, PageAsset>()
  for (const name of names) {
    const body = await readFile(new URL(name, DIRECTORY))
    all.update(name).update(body)
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 16)}"`
    files.set(name === 'index.html' ? '/' : `/page/${name}`, { type: TYPES[extname(name)] ?? '', etag, body })
  }
  return { files, hash: all.digest('base64url').slice(0, 16) }
}
