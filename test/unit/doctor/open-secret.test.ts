import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/config.ts'
import { configCheck } from '../../../src/doctor/config-check.ts'
import { isHandedIn } from '../../../src/doctor/open-file.ts'

const { signal } = new AbortController()

let dir: string
let file: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-secret-'))
  chmodSync(dir, 0o755)
  file = join(dir, 'secret')
  writeFileSync(file, 'a secret that is long enough for a swarm\n')
  chmodSync(file, 0o600)
})
afterEach(() => rmSync(dir, { recursive: true }))

const check = (swarm: object) => configCheck({ loaded: { config: parseConfig({ swarm }) } }).run({ signal })

it.each([0o644, 0o604, 0o602, 0o777])('a secret of mode %o is open to every user', async (mode) => {
  chmodSync(file, mode)
  const advice = expect.stringContaining(`chmod 600 ${file}`)
  expect(await check({ secretFile: file })).toMatchObject({ state: 'warn', advice })
})

it.each([0o600, 0o400, 0o640, 0o601])('a secret of mode %o is not', async (mode) => {
  chmodSync(file, mode)
  expect(await check({ secretFile: file })).toMatchObject({ state: 'ok' })
})

it('what a link leads to counts, and the secret before as well', async () => {
  const link = join(dir, 'link')
  symlinkSync(file, link)
  expect(await check({ secretFile: link })).toMatchObject({ state: 'ok' })
  const previous = join(dir, 'previous')
  writeFileSync(previous, 'another secret that is long enough\n')
  chmodSync(previous, 0o644)
  expect(await check({ secretFile: link, previousSecretFile: previous })).toMatchObject({
    state: 'warn',
    text: expect.stringContaining(previous),
  })
})

it('nobody gets at what lies in a folder that they may not enter', async () => {
  const closed = join(dir, 'closed')
  mkdirSync(closed, { mode: 0o750 })
  const inside = join(closed, 'secret')
  writeFileSync(inside, 'a secret that is long enough for a swarm\n')
  chmodSync(inside, 0o644)
  expect(await check({ secretFile: inside })).toMatchObject({ state: 'ok' })
})

describe('what is handed to a container', () => {
  const MOUNTS = [
    '22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/sda rw',
    '30 22 0:22 /etc/shoal /etc/shoal ro,relatime - ext4 /dev/sda rw',
    '31 22 0:23 / /mnt/a\\040b ro - ext4 /dev/sdb ro',
    '32 22 0:24 / /over ro - ext4 /dev/sdb ro',
    '33 32 0:25 / /over rw - ext4 /dev/sdc rw',
    '',
  ].join('\n')

  it.each([
    ['/etc/shoal/secret', true],
    ['/mnt/a b/secret', true],
    ['/run/secrets/shoal/..2026/secret', true],
    ['/etc/shoal-2/secret', false],
    ['/etc/secret', false],
    ['/over/secret', false],
  ])('%s: %s', (file, is) => {
    expect(isHandedIn(file, MOUNTS)).toBe(is)
  })

  it('is not known where nothing says what is mounted', () => {
    expect(isHandedIn('/etc/shoal/secret', '')).toBe(false)
  })

  it('the folder of a host is not', async () => {
    expect(isHandedIn(file, await readFile('/proc/self/mountinfo', 'utf8'))).toBe(false)
  })
})
