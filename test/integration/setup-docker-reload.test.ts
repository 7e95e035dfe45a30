import { once } from 'node:events'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { carryOut } from '../../src/setup/carry-out.ts'
import { ClientDaemon } from '../../src/setup/client-daemon.ts'
import { CLIENTS } from '../../src/setup/client-kinds.ts'
import { ClientSetup } from '../../src/setup/client-setup.ts'
import { HostFiles } from '../../src/setup/host-files.ts'
import { PLAN_INIT } from '../fakes/setup-inits.ts'
import { Child, findProgram } from '../fixtures/child.ts'

const { signal } = new AbortController()

const SETUP = { restart: false, action: 'setup', takesMs: 5_000, hasRead: async () => undefined } as const
const UNDO = { ...SETUP, action: 'undo' } as const

let root: string
let daemon: Child
let api: Server
let mirrors: string[]
/** Answers that the API gives before the daemon gets to its file. */
let lateBy: number

const daemonJson = (): string => join(root, 'etc/docker/daemon.json')

/** As docker does: what the file does not say stays as it was. */
async function readSettings(): Promise<void> {
  lateBy -= 1
  if (lateBy >= 0) return
  const text = await readFile(daemonJson(), 'utf8').catch(() => '{}')
  const settings = JSON.parse(text) as { 'registry-mirrors'?: string[] }
  mirrors = settings['registry-mirrors'] ?? mirrors
}

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shoal-reload-'))
  mirrors = []
  lateBy = 3
  await mkdir(join(root, 'run'))
  const program = join(root, 'dockerd')
  await copyFile(findProgram('sh') ?? '/bin/sh', program)
  daemon = Child.start(program, ['-c', "trap 'echo hup' HUP; echo ready; while true; do sleep 0.05; done"])
  await daemon.until(/ready/)
  await writeFile(join(root, 'run/docker.pid'), String(daemon.pid))
  api = createServer((_, response) => {
    void readSettings().then(() =>
      response.end(JSON.stringify({ RegistryConfig: { Mirrors: mirrors.map((url) => `${url}/`) } })),
    )
  })
  api.listen(join(root, 'run/docker.sock'))
  await once(api, 'listening')
})
afterEach(async () => {
  api.close()
  await daemon.stop('SIGKILL')
  await rm(root, { recursive: true })
})

function partsOf() {
  const files = new HostFiles({ root })
  const kind = CLIENTS.docker.daemon
  if (kind === undefined) throw new Error('no daemon')
  return {
    setup: new ClientSetup({ files }, { client: 'docker' }),
    daemon: new ClientDaemon({ files }, { daemon: kind }),
  }
}

describe('the set-up of a docker that runs', () => {
  it('waits until it uses the mirror, and until it has forgotten it again', async () => {
    const parts = partsOf()
    const made = await carryOut(parts, parts.setup.planSetup(PLAN_INIT), SETUP, { signal })
    expect(made).toMatchObject({ done: true, message: expect.stringContaining('it uses http://127.0.0.1:5050') })
    expect(mirrors).toEqual(['http://127.0.0.1:5050'])
    await daemon.until(/hup/)

    lateBy = 3
    const step = parts.setup.planUndo({ file: undefined })
    const undone = await carryOut(parts, step, UNDO, { signal })
    expect(undone).toMatchObject({ done: true, message: expect.stringContaining('it no longer uses') })
    expect(mirrors).toEqual([])
    await expect(readFile(daemonJson())).rejects.toThrow('ENOENT')
  })

  it('says that it did not take the setting, and leaves no file half-way', async () => {
    const parts = partsOf()
    lateBy = Number.POSITIVE_INFINITY
    const made = await carryOut(parts, parts.setup.planSetup(PLAN_INIT), { ...SETUP, takesMs: 300 }, { signal })
    expect(made).toMatchObject({ done: false, failed: true, message: expect.stringContaining('did not take') })
    expect(await readFile(daemonJson(), 'utf8')).toContain('5050')
  })

  it('restores the file when it is told to stop in between', async () => {
    await mkdir(join(root, 'etc/docker'), { recursive: true })
    await writeFile(daemonJson(), '{}')
    const parts = partsOf()
    await carryOut(parts, parts.setup.planSetup(PLAN_INIT), SETUP, { signal })
    lateBy = Number.POSITIVE_INFINITY
    const stop = new AbortController()
    api.on('request', () => stop.abort())
    const step = parts.setup.planUndo({ file: undefined })
    const undone = carryOut(parts, step, UNDO, { signal: stop.signal })
    await undone.catch(() => undefined)
    expect(await readFile(daemonJson(), 'utf8')).toBe('{}')
  })

  it('takes a docker whose API nobody can ask at its word', async () => {
    api.close()
    const parts = partsOf()
    const made = await carryOut(parts, parts.setup.planSetup(PLAN_INIT), SETUP, { signal })
    expect(made).toMatchObject({ done: true, failed: false })
    await daemon.until(/hup/)
  })
})
