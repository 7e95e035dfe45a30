import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SupportAnswer } from '../../src/facade/support-api.ts'
import { AgentProcess } from '../fixtures/agent-process.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'

const run = promisify(execFile)
const SECRETS = {
  swarm: 'pl4nted-swarm-secret-of-the-fleet',
  mirror: 'pl4ntedmirrorpassword',
  client: Buffer.from('someone:pl4nted-client-password').toString('base64'),
  query: 'pl4nted-query-token',
  docker: 'pl4nted-docker-password',
}
const NAMES = ['acme-private', 'billing-engine', 'tag-of-the-launch']
const HOSTS = ['registry.pl4nted.test', 'mirror.pl4nted.test', 'agents.pl4nted.test', '10.77.0.9']

describe('shoal support-bundle', () => {
  let dir: string
  let origin: FaultOrigin
  let agent: AgentProcess

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shoal-bundle-'))
    const docker = join(dir, 'config.json')
    await writeFile(docker, JSON.stringify({ auths: { 'x.test': { auth: btoa(`me:${SECRETS.docker}`) } } }))
    origin = await FaultOrigin.start()
    const mirrors = [`http://mirror:${SECRETS.mirror}@127.0.0.1:9/`]
    const registries = {
      [origin.registry]: { plainHttp: true, mirrors },
      [HOSTS[0] ?? '']: { mirrors: [`https://${HOSTS[1]}/v2`] },
    }
    agent = await AgentProcess.start({
      config: {
        origin: { default: origin.registry, registries, dockerConfig: docker },
        swarm: { secret: SECRETS.swarm, bootstrap: [HOSTS[2]], advertise: [HOSTS[3]] },
        log: { level: 'info' },
      },
    })
    const blob = origin.addBlob(Buffer.alloc(700_000, 1), { repository: 'acme-private/billing-engine' })
    origin.inject({ fault: { kind: 'cut', after: 300_000 }, match: { path: /\/blobs\// }, times: 3 })
    const headers = { authorization: `Basic ${SECRETS.client}` }
    for (const path of [`blobs/${blob}`, 'manifests/tag-of-the-launch', 'tags/list'])
      await fetch(`${agent.facadeUrl}/v2/acme-private/billing-engine/${path}?token=${SECRETS.query}`, { headers })
        .then((answer) => answer.arrayBuffer())
        .catch(() => undefined)
    // names of what was pulled, as a warning may hold them
    await agent.reload('origin: { allow: 5 }')
  })
  afterAll(async () => {
    await agent.close()
    await origin[Symbol.asyncDispose]()
    await rm(dir, { recursive: true })
  })

  async function unpack(path: string): Promise<{ files: Map<string, string>; all: string }> {
    const into = await mkdtemp(join(dir, 'unpacked-'))
    await run('tar', ['-xzf', path, '-C', into])
    const found = await readdir(into, { recursive: true, withFileTypes: true })
    const files = new Map<string, string>()
    for (const entry of found.filter((one) => one.isFile())) {
      const file = join(entry.parentPath, entry.name)
      files.set(file.slice(into.length + 1).replace(/^[^/]+\//, ''), await readFile(file, 'utf8'))
    }
    return { files, all: gunzipSync(await readFile(path)).toString('latin1') }
  }

  it('holds what somebody needs who looks for a fault, and neither secrets nor names of images and hosts', async () => {
    const path = join(dir, 'one.tar.gz')
    const said = await agent.shoal('support-bundle', '-o', path)
    expect(said).toContain(path)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const { files, all } = await unpack(path)
    expect([...files.keys()].sort()).toEqual(
      expect.arrayContaining([
        'README.txt',
        'agent/config.json',
        'agent/log.ndjson',
        'agent/metrics.txt',
        'agent/peers.json',
        'agent/process.json',
        'agent/status.json',
        'config.json',
        'doctor.json',
        'host.json',
      ]),
    )
    for (const secret of [...Object.values(SECRETS), btoa(`me:${SECRETS.docker}`), ...NAMES, ...HOSTS])
      expect(all).not.toContain(secret)
    expect(files.get('agent/config.json')).toContain('"secret": "***"')
    expect(files.get('agent/config.json')).toContain('http://***@127.0.0.1:9/')
    expect(files.get('agent/log.ndjson')).toContain('the new configuration is refused')
    expect(
      files
        .get('agent/log.ndjson')
        ?.trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object).length,
    ).toBeGreaterThan(1)
    expect(files.get('agent/metrics.txt')).toContain('shoal_build_info{')
    expect(JSON.parse(files.get('agent/process.json') ?? '')).toMatchObject({
      nodejsVersion: process.version,
      javascriptHeap: expect.anything(),
      activeResources: expect.anything(),
    })
    for (const left of ['environmentVariables', 'commandLine', 'networkInterfaces', '"HOME"'])
      expect(all).not.toContain(left)
  })

  it('names hosts when that is asked', async () => {
    const path = join(dir, 'hosts.tar.gz')
    await agent.shoal('support-bundle', '--with-hosts', '-o', path)
    const { files, all } = await unpack(path)
    for (const host of HOSTS) expect(files.get('agent/config.json')).toContain(host)
    for (const name of NAMES) expect(all).not.toContain(name)
  })

  it('is never written over what is there', async () => {
    const path = join(dir, 'there.tar.gz')
    await writeFile(path, 'mine')
    await expect(agent.shoal('support-bundle', '-o', path)).rejects.toThrow('is there already')
    expect(await readFile(path, 'utf8')).toBe('mine')
    await mkdir(join(dir, 'folder'))
    await expect(agent.shoal('support-bundle', '-o', join(dir, 'folder', 'none', 'x.tar.gz'))).rejects.toThrow('ENOENT')
  })

  it('is asked for over an API that tells no secrets either', async () => {
    const answer = await fetch(`${agent.adminUrl}/api/support`)
    const text = await answer.text()
    expect((JSON.parse(text) as SupportAnswer).log.length).toBeGreaterThan(0)
    for (const secret of Object.values(SECRETS)) expect(text).not.toContain(secret)
  })

  it('has what can be had of an agent that is down, and says what cannot', async () => {
    await agent.stop()
    const path = join(dir, 'down.tar.gz')
    const said = await agent.shoal('support-bundle', '--with-names', '--with-hosts', '-o', path)
    expect(said).toContain('not in it: agent/status.json')
    const { files, all } = await unpack(path)
    expect([...files.keys()]).toEqual(
      expect.arrayContaining(['README.txt', 'config.json', 'doctor.json', 'problems.txt']),
    )
    expect(files.get('problems.txt')).toContain('no agent answers')
    for (const secret of Object.values(SECRETS)) expect(all).not.toContain(secret)
  })
})
