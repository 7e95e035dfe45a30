import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { missing } from '../fixtures/child.ts'
import { PodmanClient } from '../fixtures/client-podman.ts'
import { SkopeoClient } from '../fixtures/client-skopeo.ts'
import { describeSetup } from './describe-setup.ts'

const DEAD_MIRROR =
  '[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "127.0.0.1:9"\ninsecure = true\n'

async function prepare(root: string, registries: string): Promise<void> {
  const dir = join(root, 'etc/containers')
  await mkdir(join(dir, 'registries.conf.d'), { recursive: true })
  await copyFile('/etc/containers/policy.json', join(dir, 'policy.json'))
  await writeFile(join(dir, 'registries.conf'), registries)
}

describeSetup('podman', {
  client: 'podman',
  family: 'podman',
  unavailable: () => PodmanClient.unavailable(),
  start: async (root, hub) => {
    await prepare(root, '')
    return await PodmanClient.startOnRoot(root, hub)
  },
})

// CRI-O reads the same files with the same library
describeSetup('skopeo with a dead mirror', {
  client: 'crio',
  family: 'podman',
  unavailable: () => SkopeoClient.unavailable() ?? missing(['unshare'], { root: true }),
  start: async (root, hub) => {
    await prepare(root, DEAD_MIRROR)
    return await SkopeoClient.startOnRoot(root, hub)
  },
})
