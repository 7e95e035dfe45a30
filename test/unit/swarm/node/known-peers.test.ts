import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { KnownPeers } from '../../../../src/swarm/node/known-peers.ts'
import { recordingLog, silentLog } from '../../../fakes/silent-log.ts'

let dir: string
let path: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-peers-'))
  path = join(dir, 'peers.json')
})
afterEach(() => rm(dir, { recursive: true }))

function knownPeers(log = silentLog): KnownPeers {
  return new KnownPeers({ log }, { path, saveMs: 60_000 })
}

describe('peers of the last run', () => {
  it('are known after a restart, the last noted first', async () => {
    const before = knownPeers()
    before.note('a', ['/ip4/10.0.0.1/tcp/5051'])
    before.note('b', ['/ip4/10.0.0.2/tcp/5051', '/ip6/fd00::2/tcp/5051'])
    await before.close()
    const after = knownPeers()
    await after.load()
    expect(after.addresses()).toEqual([
      { id: 'b', host: '10.0.0.2', port: 5051 },
      { id: 'b', host: 'fd00::2', port: 5051 },
      { id: 'a', host: '10.0.0.1', port: 5051 },
    ])
    expect(await readdir(dir)).toEqual(['peers.json'])
  })

  it('are at most a hundred, with numeric addresses only', async () => {
    const peers = knownPeers()
    for (let i = 0; i < 1_000; i++)
      peers.note(`p${i}`, [
        '/dns4/somewhere/tcp/1',
        ...Array.from({ length: 9 }, (_, j) => `/ip4/10.0.0.${j + 1}/tcp/${i + 1}`),
      ])
    await peers.close()
    const { peers: saved } = JSON.parse(await readFile(path, 'utf8')) as {
      peers: { id: string; addresses: string[] }[]
    }
    expect(saved).toHaveLength(100)
    expect(saved.at(-1)?.id).toBe('p999')
    expect(saved.flatMap(({ addresses }) => addresses).filter((text) => text.includes('dns'))).toEqual([])
    expect(Math.max(...saved.map(({ addresses }) => addresses.length))).toBe(3)
  })

  it.each([
    ['no JSON', 'nonsense'],
    ['other JSON', '{"peers": 7}'],
    ['an address of another kind', '{"peers":[{"id":"a","addresses":["/dns4/metadata/tcp/80"]}]}'],
    ['an endless file', `{"peers":[]}${' '.repeat(300_000)}`],
  ])('are nobody when the file holds %s', async (_, text) => {
    await writeFile(path, text)
    const { log, entries } = recordingLog()
    const peers = knownPeers(log)
    await peers.load()
    expect(peers.addresses()).toEqual([])
    expect(entries.map(({ level }) => level)).toEqual(['warn'])
  })

  it('cost no more than a warning when they cannot be written', async () => {
    const { log, entries } = recordingLog()
    const peers = new KnownPeers({ log }, { path: join(dir, 'missing', 'peers.json'), saveMs: 60_000 })
    for (const id of ['a', 'b', 'c']) {
      peers.note(id, ['/ip4/10.0.0.1/tcp/5051'])
      await peers.close()
    }
    expect(entries.map(({ level }) => level)).toEqual(['warn', 'debug', 'debug'])
  })

  it('are not written again when nothing changed', async () => {
    const peers = knownPeers()
    peers.note('a', ['/ip4/10.0.0.1/tcp/5051'])
    await peers.close()
    await rm(path)
    peers.note('a', ['/ip4/10.0.0.1/tcp/5051'])
    await peers.close()
    expect(await readdir(dir)).toEqual([])
  })
})
