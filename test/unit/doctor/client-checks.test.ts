import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AgentView } from '../../../src/doctor/agent-view.ts'
import { clientChecks } from '../../../src/doctor/client-checks.ts'
import { STATUS } from '../../fakes/fake-admin-backend.ts'
import { FakeHostView } from '../../fakes/fake-host-view.ts'

const DOCKERS = expect.stringContaining("docker's")

let root: string
let host: FakeHostView
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shoal-clients-'))
  host = new FakeHostView()
})
afterEach(() => rmSync(root, { recursive: true }))

async function results(): Promise<Record<string, object>> {
  const status = async () => ({
    ...STATUS,
    clients: [],
    listening: { ...STATUS.listening, facade: ['127.0.0.1:5050'] },
  })
  const agent = new AgentView({ status, diagnose: () => Promise.reject(new Error('not asked')) })
  const facade = { host: '127.0.0.1', port: 5050 }
  const checks = clientChecks({ agent, host }, { facade, registries: [], defaultRegistry: 'docker.io', root })
  const { signal } = new AbortController()
  return Object.fromEntries(
    await Promise.all(checks.map(async (check) => [check.name, await check.run({ signal })] as const)),
  )
}

function setUpDocker(): void {
  mkdirSync(join(root, 'etc/docker'), { recursive: true })
  writeFileSync(join(root, 'etc/docker/daemon.json'), '{ "registry-mirrors": ["http://127.0.0.1:5050"] }')
}

describe('the clients of a host', () => {
  it('with docker alone, whose package brings containerd along, are docker', async () => {
    host.programs = new Set(['dockerd', 'containerd'])
    expect(await results()).toMatchObject({ docker: { state: 'warn' }, containerd: { state: 'skip', text: DOCKERS } })
    setUpDocker()
    expect(await results()).toMatchObject({ docker: { state: 'ok' }, containerd: { state: 'skip', text: DOCKERS } })
  })

  it.each(['kubelet', 'crictl', 'nerdctl'])('with docker and %s have containerd to be set up', async (program) => {
    host.programs = new Set(['dockerd', 'containerd', program])
    expect(await results()).toMatchObject({ docker: { state: 'warn' }, containerd: { state: 'warn' } })
  })

  it('with docker and settings of CRI have containerd to be set up', async () => {
    host.programs = new Set(['dockerd', 'containerd'])
    host.paths.add(`${root}/etc/crictl.yaml`)
    expect(await results()).toMatchObject({ containerd: { state: 'warn' } })
  })

  it('of which one is set up leave the others to their user', async () => {
    host.programs = new Set(['dockerd', 'podman', 'crio'])
    expect(await results()).toMatchObject({ podman: { state: 'warn' }, crio: { state: 'warn' } })
    setUpDocker()
    expect(await results()).toMatchObject({
      docker: { state: 'ok' },
      podman: { state: 'skip', text: expect.stringContaining('shoal setup podman') },
      crio: { state: 'skip' },
      containerd: { state: 'skip', text: 'not installed' },
    })
  })
})
