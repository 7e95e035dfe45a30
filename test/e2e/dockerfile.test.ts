import { cp, mkdir, mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Child, missing, run } from '../fixtures/child.ts'

const root = join(import.meta.dirname, '../..')
const NODE = join(root, 'node_modules/.bin/node')
const UNPRIVILEGED = 1000

/** No base image can be had here, so the stages are run by hand: the same files, the same commands, the same user. */
describe.skipIf(missing(['npm', 'setpriv', 'unshare'], { root: true }) !== undefined)(
  'the stages of the Dockerfile',
  () => {
    let dir: string
    let dockerfile: string
    let env: Record<string, string>
    const app = (): string => join(dir, 'opt/shoal')

    beforeAll(async () => {
      dir = await mkdtemp(join(tmpdir(), 'shoal-image-'))
      dockerfile = (await readFile(join(root, 'Dockerfile'), 'utf8')).replaceAll('\\\n', ' ')
      await mkdir(app(), { recursive: true })
      for (const [, list] of dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
        for (const file of list?.trim().split(/\s+/) ?? []) {
          await cp(join(root, file), join(app(), file), { recursive: true })
        }
      }
      const install = /^RUN (npm ci .+)$/m.exec(dockerfile)?.[1]?.split(' ') ?? []
      // as in the base image, for everybody; the checkout may be where only its owner can read
      const bin = join(dir, 'usr/local/bin')
      await mkdir(bin, { recursive: true })
      await cp(await realpath(NODE), join(bin, 'node'))
      env = { PATH: `${bin}:${process.env['PATH'] ?? ''}`, NODE_COMPILE_CACHE: join(app(), 'compiled') }
      await run('sh', ['-c', `cd "$1" && shift && exec "$@"`, 'sh', app(), ...install], { env, timeoutMs: 120_000 })
      const build = /^RUN (node .+)$/m.exec(dockerfile)?.[1]?.split(' ') ?? []
      await run('sh', ['-c', `cd "$1" && shift && exec "$@"`, 'sh', app(), ...build], { env })
      // which stay behind in the first stage
      for (const left of ['src', 'scripts']) await rm(join(app(), left), { recursive: true })
      await run(join(app(), 'bin/shoal'), ['--version'], { env })
    }, 180_000)
    afterAll(() => rm(dir, { recursive: true, force: true }))

    it('copy nothing that .dockerignore leaves out', async () => {
      const kept = (await readFile(join(root, '.dockerignore'), 'utf8')).match(/(?<=^!).+$/gm) ?? []
      const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
        ([, list]) => list?.split(/\s+/) ?? [],
      )
      expect(kept).toEqual(expect.arrayContaining(copied))
    })

    it('say which version they are of', async () => {
      const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
      expect(dockerfile).toContain(`org.opencontainers.image.version="${version}"`)
    })

    // the legacy builder of docker 20.10 and podman 4.3 know no other flags, and end the build at one
    it('check the health in a way that old builders know', () => {
      const [, flags = ''] = /^HEALTHCHECK (.*?)CMD /m.exec(dockerfile) ?? []
      const names = flags.match(/--[\w-]+/g)
      expect(names).toContain('--interval')
      for (const name of names ?? []) expect(['--interval', '--timeout', '--start-period', '--retries']).toContain(name)
    })

    it('give an agent that runs without rights on a read-only root, and is healthy', async () => {
      expect(dockerfile).toMatch(new RegExp(`^USER ${UNPRIVILEGED}:${UNPRIVILEGED}$`, 'm'))
      const data = join(dir, 'data')
      await mkdir(data)
      await run('chmod', ['-R', 'a+rX', dir])
      await run('chown', [`${UNPRIVILEGED}:${UNPRIVILEGED}`, data])
      const entrypoint = JSON.parse(/^ENTRYPOINT (.+)$/m.exec(dockerfile)?.[1] ?? '[]') as string[]
      const health = JSON.parse(/^HEALTHCHECK .*?CMD (.+)$/m.exec(dockerfile)?.[1] ?? '[]') as string[]
      const here = (argument: string): string => argument.replace(/^\/opt\/shoal/, app())
      const user = [`--reuid=${UNPRIVILEGED}`, `--regid=${UNPRIVILEGED}`, '--clear-groups', '--']
      const anywhere = '127.0.0.1:0'
      const settings = {
        ...env,
        HOME: data,
        SHOAL_STORE__DIR: data,
        SHOAL_FACADE__LISTEN: anywhere,
        SHOAL_SWARM__LISTEN: anywhere,
        SHOAL_SWARM__LANE: anywhere,
      }
      // nothing but the volume can be written, as with docker's --read-only
      const readOnly = 'mount --bind "$1" "$1" && mount -o remount,bind,ro / && shift && exec "$@"'
      const agent = Child.start(
        'unshare',
        [
          '--mount',
          'sh',
          '-ec',
          readOnly,
          'sh',
          data,
          'setpriv',
          ...user,
          ...entrypoint.map(here),
          'agent',
          '--set',
          `admin.listen=${anywhere}`,
        ],
        { env: settings },
      )
      try {
        const [line] = await agent.until(/^\{.*"msg":"ready".*\}$/m)
        const admin = (JSON.parse(line) as { admin: string[] }).admin[0] ?? ''
        // the health check, as pid 1 with the agent's arguments
        const [command = '', ...args] = health
        const check = (variable: string, ...rest: string[]): Promise<string> =>
          run('unshare', ['--pid', '--fork', '--mount-proc', command, ...args, '--', 'agent', ...rest], {
            env: { ...settings, SHOAL_ADMIN__LISTEN: variable },
          })
        await check(admin)
        await check('127.0.0.1:1', '--set', `admin.listen=${admin}`)
        await expect(check('127.0.0.1:1')).rejects.toThrow('exit 1')
        const status = (await (await fetch(`http://${admin}/api/status`)).json()) as object
        expect(status).toMatchObject({ ready: true, store: { dir: data, writable: true } })
      } finally {
        expect(await agent.stop()).toBe(0)
      }
    })
  },
)
