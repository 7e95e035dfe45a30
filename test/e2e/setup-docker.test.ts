import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DockerClient } from '../fixtures/client-docker.ts'
import type { HubStandIn } from '../fixtures/hub-stand-in.ts'
import { describeSetup } from './describe-setup.ts'

async function startWith(root: string, hub: HubStandIn, settings: object | undefined): Promise<DockerClient> {
  const dir = join(root, 'etc/docker')
  await mkdir(dir, { recursive: true })
  if (settings !== undefined) await writeFile(join(dir, 'daemon.json'), JSON.stringify(settings), { mode: 0o640 })
  return await DockerClient.startOnRoot(root, hub)
}

describeSetup('docker without a daemon.json', {
  client: 'docker',
  family: 'docker',
  unavailable: () => DockerClient.unavailable(),
  start: (root, hub) => startWith(root, hub, undefined),
})

describeSetup('docker with a dead mirror', {
  client: 'docker',
  family: 'docker',
  unavailable: () => DockerClient.unavailable(),
  start: (root, hub) => startWith(root, hub, { debug: true, 'registry-mirrors': ['http://127.0.0.1:9'] }),
})
