import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { askCredentialHelper } from '../../../src/origin/credential-helper.ts'
import { DockerCredentials } from '../../../src/origin/credentials.ts'
import type { Logger } from '../../../src/util/logger.ts'
import { silent } from '../../fixtures/fault-origin-client.ts'

const { signal } = new AbortController()
const auth = (pair: string): string => Buffer.from(pair).toString('base64')

let directory: string
let path: string
let now: number
let warnings: { fields: object; message: string }[]
const log: Logger = { ...silent, warn: (fields, message) => warnings.push({ fields, message }) }

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'shoal-credentials-'))
  path = join(directory, 'config.json')
  now = 1_000_000
  warnings = []
})

afterEach(() => {
  rmSync(directory, { recursive: true })
  vi.unstubAllEnvs()
})

function create(askHelper?: typeof askCredentialHelper): DockerCredentials {
  return new DockerCredentials({ log, clock: () => now, ...(askHelper && { askHelper }) }, { path })
}

describe('DockerCredentials', () => {
  it('has none without a file', async () => {
    const credentials = create()
    expect(credentials.account('r.example')).toBeUndefined()
    expect(await credentials.get('r.example', { signal })).toBeUndefined()
    expect(warnings).toEqual([])
  })

  it('reads the file again when it changes, without a restart', async () => {
    const credentials = create()
    writeFileSync(path, JSON.stringify({ auths: { 'r.example': { auth: auth('one:x') } } }))
    expect(await credentials.get('r.example', { signal })).toMatchObject({ username: 'one' })
    writeFileSync(path, JSON.stringify({ auths: { 'r.example': { auth: auth('second:x') } } }))
    now += 2_000
    expect(await credentials.get('r.example', { signal })).toMatchObject({ username: 'second' })
    rmSync(path)
    now += 2_000
    expect(await credentials.get('r.example', { signal })).toBeUndefined()
  })

  it('warns once about a damaged file, without its content, and has no credentials', async () => {
    writeFileSync(path, '{"auths":{"r.example":{"auth":"c2VjcmV0OnNlY3JldA==')
    const credentials = create()
    for (let i = 0; i < 3; i += 1) {
      now += 2_000
      expect(await credentials.get('r.example', { signal })).toBeUndefined()
    }
    expect(warnings).toHaveLength(1)
    expect(JSON.stringify(warnings)).not.toContain('c2VjcmV0')
  })

  it('names an account the same in every process, without its secret', () => {
    writeFileSync(path, JSON.stringify({ auths: { 'r.example': { auth: auth('me:one') } } }))
    const before = create().account('r.example')
    writeFileSync(path, JSON.stringify({ auths: { 'r.example': { auth: auth('me:another') } } }))
    expect(create().account('r.example')).toBe(before)
    expect(before).toMatch(/^[0-9a-f]{64}$/)
  })

  it('is certain of what stands in the file, not of what a helper may answer', () => {
    writeFileSync(path, JSON.stringify({ auths: { 'r.example': { auth: auth('me:one') } } }))
    const credentials = create()
    expect(credentials.certain('r.example')).toMatchObject({ username: 'me', password: 'one' })
    expect(credentials.certain('r.example')).toBe(credentials.certain('r.example'))
    expect(credentials.certain('other.example')).toBeUndefined()
    const helped = { auths: { 'r.example': { auth: auth('me:one') } }, credHelpers: { 'r.example': 'test' } }
    writeFileSync(path, JSON.stringify(helped))
    expect(create().certain('r.example')).toBeUndefined()
  })

  it('asks a helper once for many requests, and again when an answer that is not fresh was refused', async () => {
    writeFileSync(path, JSON.stringify({ credHelpers: { 'r.example': 'test' } }))
    const ask = vi.fn(async () => ({ kind: 'password', username: 'me', password: 'x' }) as const)
    const credentials = create(ask)
    await Promise.all([1, 2, 3].map(() => credentials.get('r.example', { signal })))
    await credentials.get('r.example', { signal })
    expect(ask).toHaveBeenCalledTimes(1)
    expect(ask).toHaveBeenCalledWith({ name: 'test', server: 'r.example' })
    credentials.refused('r.example')
    await credentials.get('r.example', { signal })
    expect(ask).toHaveBeenCalledTimes(1)
    now += 10_000
    credentials.refused('r.example')
    await credentials.get('r.example', { signal })
    expect(ask).toHaveBeenCalledTimes(2)
  })

  it('goes on with what stands in the file when a helper fails', async () => {
    writeFileSync(path, JSON.stringify({ credsStore: 'gone', auths: { 'r.example': { auth: auth('me:x') } } }))
    const credentials = create(async () => {
      throw new Error('failed (1)')
    })
    expect(await credentials.get('r.example', { signal })).toMatchObject({ username: 'me' })
    expect(warnings).toHaveLength(1)
  })
})

describe('askCredentialHelper', () => {
  function helper(name: string, script: string): void {
    const file = join(directory, `docker-credential-${name}`)
    writeFileSync(file, `#!/bin/sh\n${script}\n`)
    chmodSync(file, 0o755)
    vi.stubEnv('PATH', `${directory}${delimiter}${process.env['PATH']}`)
  }

  it('hands over the server and reads name and secret', async () => {
    helper('ok', `[ "$1" = get ] && read -r server && echo "{\\"Username\\":\\"$server\\",\\"Secret\\":\\"s\\"}"`)
    expect(await askCredentialHelper({ name: 'ok', server: 'r.example' })).toEqual({
      kind: 'password',
      username: 'r.example',
      password: 's',
    })
  })

  it('takes the name <token> for an identity token', async () => {
    helper('token', `echo '{"Username":"<token>","Secret":"refresh"}'`)
    expect(await askCredentialHelper({ name: 'token', server: 'x' })).toMatchObject({
      kind: 'identity-token',
      token: 'refresh',
    })
  })

  it('knows "not found" from a failure, which tells no secret', async () => {
    helper('none', `echo 'credentials not found in native keychain'; exit 1`)
    expect(await askCredentialHelper({ name: 'none', server: 'x' })).toBeUndefined()
    helper('bad', `echo secret; echo secret >&2; exit 3`)
    await expect(askCredentialHelper({ name: 'bad', server: 'x' })).rejects.toThrow(/^failed \(3\)$/)
    await expect(askCredentialHelper({ name: 'missing', server: 'x' })).rejects.toThrow('ENOENT')
  })

  it('ends a helper that hangs', async () => {
    helper('slow', 'exec sleep 600')
    await expect(askCredentialHelper({ name: 'slow', server: 'x' }, 100)).rejects.toThrow('timed out')
  })
})
