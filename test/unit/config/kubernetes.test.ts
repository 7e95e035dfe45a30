import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { type Config, parseConfig } from '../../../src/config.ts'
import { missing, run } from '../../fixtures/child.ts'
import { type Resource, resource } from '../../fixtures/kubernetes-schema.ts'
import { checkTypes } from '../../fixtures/kubernetes-types.ts'

const root = join(import.meta.dirname, '../../..')
const folder = join(root, 'config/kubernetes')
const noKubectl = missing(['kubectl'], { root: false })
if (noKubectl !== undefined)
  process.stderr.write(
    `Left out, ${noKubectl}: whether config/kubernetes renders to what Kubernetes takes. Needs kubectl 1.22 or later.\n`,
  )
const SECRET_CHANGE = 'components/secret-change'
const OVERLAYS = ['base', 'overlays/containerd', 'overlays/crio', 'overlays/pod-network']

type Of<K extends Resource['kind']> = Extract<Resource, { kind: K }>

/** What `kubectl apply -k` would send. */
class Rendered {
  /** As Kubernetes would get them. */
  readonly documents: readonly Resource[]
  readonly #resources: readonly Resource[]

  constructor(yaml: string) {
    this.documents = parseAllDocuments(yaml).map((document) => document.toJS() as Resource)
    this.#resources = this.documents.map((document) => resource.parse(document))
  }

  one<K extends Resource['kind']>(kind: K): Of<K> {
    const found = this.#resources.filter((one): one is Of<K> => one.kind === kind)
    const [first] = found
    if (first === undefined || found.length > 1) throw new Error(`${found.length} of ${kind}`)
    return first
  }

  get policies(): Of<'NetworkPolicy'>['spec'][] {
    return this.#resources.flatMap((one) => (one.kind === 'NetworkPolicy' ? [one.spec] : []))
  }

  get pod(): Of<'DaemonSet'>['spec']['template']['spec'] {
    return this.one('DaemonSet').spec.template.spec
  }

  get config(): Config {
    return parseConfig(parse(this.one('ConfigMap').data['shoal.yaml']))
  }
}

describe('the files for Kubernetes', () => {
  it('name in each kustomization only files that are there, and leave none unnamed', async () => {
    for (const dir of [...OVERLAYS, SECRET_CHANGE]) {
      const text = await readFile(join(folder, dir, 'kustomization.yaml'), 'utf8')
      const {
        resources = [],
        patches = [],
        configMapGenerator = [],
      } = parse(text) as {
        resources?: string[]
        patches?: { path: string }[]
        configMapGenerator?: { files: string[] }[]
      }
      const named = [
        ...resources,
        ...patches.map(({ path }) => path),
        ...configMapGenerator.flatMap(({ files }) => files),
      ]
      const files = (await readdir(join(folder, dir))).filter((name) => name !== 'kustomization.yaml')
      expect(named.filter((name) => !name.startsWith('..')).sort()).toEqual(files.sort())
      for (const name of named.filter((name) => name.startsWith('..')))
        expect(await readdir(join(folder, dir, name))).toContain('kustomization.yaml')
    }
  })

  it('hold no secret', async () => {
    const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.yaml'))
    const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))
    expect(texts.join('\n')).not.toMatch(/kind: Secret|secretGenerator/)
  })
})

describe.skipIf(noKubectl !== undefined).each(OVERLAYS)(
  `%s as kubectl renders it${noKubectl ? ` (left out: ${noKubectl})` : ''}`,
  (dir) => {
    const rendered = async (): Promise<Rendered> => new Rendered(await run('kubectl', ['kustomize', join(folder, dir)]))

    it('holds only fields that Kubernetes has, with the types they have there', async () => {
      await expect(checkTypes((await rendered()).documents)).resolves.toBeUndefined()
    })

    it('selects the pods that it makes', async () => {
      const all = await rendered()
      const { selector, template } = all.one('DaemonSet').spec
      expect(template.metadata.labels).toMatchObject(selector.matchLabels)
      expect(template.metadata.labels).toMatchObject(all.one('Service').spec.selector)
      for (const { podSelector, ingress } of all.policies)
        for (const { matchLabels } of [
          podSelector,
          ...ingress.flatMap(({ from }) => from.map((one) => one.podSelector)),
        ])
          expect(template.metadata.labels).toMatchObject(matchLabels)
    })

    it('has one image of this version in all containers', async () => {
      const { initContainers, containers } = (await rendered()).pod
      const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
      const images = new Set([...initContainers, ...containers].map(({ image }) => image))
      expect([...images]).toEqual([`registry.example/shoal:${version}`])
    })

    it('opens and asks the ports that the configuration listens on', async () => {
      const all = await rendered()
      const { pod, config } = all
      const [agent] = pod.containers
      const listens = {
        facade: config.facade.listen,
        swarm: config.swarm.listen,
        lane: config.swarm.lane,
        admin: config.admin.listen,
      }
      const ports = Object.fromEntries(agent.ports?.map((one) => [one.name, one.containerPort]) ?? [])
      expect(ports).toEqual(Object.fromEntries(Object.entries(listens).map(([name, { port }]) => [name, port])))
      for (const { httpGet } of [agent.startupProbe, agent.readinessProbe, agent.livenessProbe].filter(
        (one) => one !== undefined,
      ))
        expect(httpGet.port).toBe(listens.admin.port)
      const { name, namespace } = all.one('Service').metadata
      expect(all.one('Service').spec.ports.map(({ port }) => port)).toEqual([listens.swarm.port, listens.lane.port])
      expect(config.swarm.bootstrap).toEqual([`${name}.${namespace}.svc.cluster.local:${listens.swarm.port}`])
      for (const one of all.policies.flatMap(({ ingress }) => ingress))
        expect(one.ports.map(({ port }) => port)).toEqual([listens.swarm.port, listens.lane.port])
    })

    it('lets nobody but the node reach the facade and the admin listener', async () => {
      const all = await rendered()
      const [agent] = all.pod.containers
      const addresses = [all.config.facade.listen, all.config.admin.listen].map(({ host }) => host)
      expect(addresses.every((host) => host === '127.0.0.1') || all.policies.length === 1).toBe(true)
      const open = agent.ports?.filter(({ hostPort, hostIP }) => hostPort !== undefined && hostIP !== '127.0.0.1')
      expect(open?.map(({ name }) => name)).toEqual(all.pod.hostNetwork ? ['swarm', 'lane'] : [])
    })

    it('mounts what there is, where the configuration looks for it', async () => {
      const { pod, config, ...all } = await rendered().then((one) => ({
        pod: one.pod,
        config: one.config,
        map: one.one('ConfigMap'),
      }))
      const volumes = new Map(pod.volumes.map((one) => [one.name, one]))
      for (const { volumeMounts } of [...pod.initContainers, ...pod.containers])
        for (const { name } of volumeMounts) expect([...volumes.keys()]).toContain(name)
      const at = (path: string | undefined): unknown => {
        const mount = pod.containers[0].volumeMounts.find(({ mountPath }) => path?.startsWith(mountPath))
        return volumes.get(mount?.name ?? '')
      }
      expect(at(config.store.dir)).toMatchObject({ hostPath: { path: config.store.dir } })
      expect(at('/etc/shoal/shoal.yaml')).toMatchObject({ configMap: { name: all.map.metadata.name } })
      expect(at(config.swarm.secretFile)).toMatchObject({ secret: { secretName: 'shoal-swarm' } })
      // the volume names the file by the key that the comment in kustomization.yaml makes it with
      expect(config.swarm.secretFile).toMatch(/\/secret$/)
    })

    it('gives no container more rights than it uses, and time to end downloads', async () => {
      const { pod, config } = await rendered()
      for (const { name, securityContext } of pod.initContainers)
        expect(securityContext.capabilities.add ?? []).toEqual(name === 'data-directory' ? ['CHOWN', 'FOWNER'] : [])
      expect(pod.containers[0].securityContext.capabilities.add).toBeUndefined()
      expect(pod.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(config.facade.drain)
    })
  },
)

describe.skipIf(noKubectl !== undefined)('the component for a change of the secret', () => {
  it.each(OVERLAYS)('has the agents of %s read the previous one beside the secret', async (overlay) => {
    const dir = await mkdtemp(join(tmpdir(), 'shoal-kustomize-'))
    try {
      const there = (path: string): string => relative(dir, join(folder, path))
      const kustomization = { resources: [there(overlay)], components: [there(SECRET_CHANGE)] }
      await writeFile(join(dir, 'kustomization.yaml'), JSON.stringify(kustomization))
      const all = new Rendered(await run('kubectl', ['kustomize', dir]))
      await checkTypes(all.documents)
      const variables = all.pod.containers[0].env ?? []
      const variable = variables.find(({ name }) => name === 'SHOAL_SWARM__PREVIOUS_SECRET_FILE')
      const previous = all.config.swarm.secretFile?.replace(/[^/]*$/, 'previous')
      expect(variable?.value).toBe(previous)
      // what the agent had before is still there
      expect(variables.map(({ name }) => name)).toContain('HOME')
    } finally {
      await rm(dir, { recursive: true })
    }
  })
})

describe('the check of fields', () => {
  const service = { apiVersion: 'v1', kind: 'Service', spec: { publishNotReadyAddresses: true } }

  it.each([
    ['that there is not', { publishNotReadyAddress: true }, /publishNotReadyAddress.*does not exist/],
    ['of another type', { publishNotReadyAddresses: 'true' }, /'string' is not assignable to type 'boolean/],
  ])('finds one %s', async (_, spec, problem) => {
    await checkTypes([service])
    const invalid = { ...service, spec }
    await expect(checkTypes([invalid])).rejects.toThrow(problem)
  })
})

describe.skipIf(noKubectl !== undefined).each([
  ['containerd', 'etc/containerd/certs.d/_default/hosts.toml'],
  ['crio', 'etc/containers/registries.conf.d'],
  ['pod-network', 'etc/containerd/certs.d/_default/hosts.toml'],
])('the init container of %s', (overlay, path) => {
  it('makes the client of the node use the port that the pod has there', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'shoal-node-'))
    try {
      const all = new Rendered(await run('kubectl', ['kustomize', join(folder, 'overlays', overlay)]))
      const setup = all.pod.initContainers.find(({ name }) => name === 'setup')
      const mounts = setup?.volumeMounts.filter(({ mountPath }) => mountPath.startsWith('/host')) ?? []
      await Promise.all(
        mounts.map(({ mountPath }) => mkdir(join(dir, mountPath.slice('/host'.length)), { recursive: true })),
      )
      const args = setup?.args?.map((argument) => (argument === '/host' ? dir : argument)) ?? []
      await run(join(root, 'bin/shoal'), args)
      const found = await run('grep', ['-rho', '127.0.0.1:5050', join(dir, path)])
      expect(found).toContain('127.0.0.1:5050')
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })
})
