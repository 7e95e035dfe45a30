import { once } from 'node:events'
import { mkdirSync, rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { hasRead } from '../../../src/setup/has-read.ts'
import { HostFiles } from '../../../src/setup/host-files.ts'
import { parseMirror } from '../../../src/setup/mirror.ts'

const { signal } = new AbortController()
const mirror = parseMirror('http://127.0.0.1:5050')
const file = undefined

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shoal-read-'))
})
afterEach(() => rmSync(root, { recursive: true }))

it.each([
  ['setup', ['http://127.0.0.1:5050/'], true],
  ['setup', [], false],
  ['undo', ['http://127.0.0.1:5050/'], false],
  ['undo', [], true],
] as const)('docker, after %s, that says it asks %j', async (action, mirrors, is) => {
  mkdirSync(join(root, 'run'))
  const api = createServer((_, response) => response.end(JSON.stringify({ RegistryConfig: { Mirrors: mirrors } })))
  api.listen(join(root, 'run/docker.sock'))
  await once(api, 'listening')
  const files = new HostFiles({ root })
  expect(await hasRead(files, { client: 'docker', mirror, action, file }, { signal })).toBe(is)
  expect(await hasRead(files, { client: 'docker', mirror: undefined, action, file }, { signal })).toBeUndefined()
  api.close()
})

it.each(['docker', 'containerd', 'crio'] as const)('is not known of a %s that does not run', async (client) => {
  const files = new HostFiles({ root })
  expect(await hasRead(files, { client, mirror, action: 'setup', file }, { signal })).toBeUndefined()
})
