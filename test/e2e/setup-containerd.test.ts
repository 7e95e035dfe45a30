import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CriClient } from '../fixtures/client-cri.ts'
import { ContainerdDaemon } from '../fixtures/containerd-daemon.ts'
import type { HubStandIn } from '../fixtures/hub-stand-in.ts'
import { describeSetup, type SetupKind } from './describe-setup.ts'

const DEAD_MIRROR = '[host."http://127.0.0.1:9"]\n  capabilities = ["pull"] # gone\n'

function kindOf(prepare: (certs: string) => Promise<void>): SetupKind {
  let daemon: ContainerdDaemon | undefined
  return {
    client: 'containerd',
    family: 'containerd',
    unavailable: () => ContainerdDaemon.unavailable(),
    start: async (root: string, hub: HubStandIn) => {
      await prepare(join(root, 'etc/containerd/certs.d'))
      daemon = await ContainerdDaemon.startOnRoot(root, hub)
      return new CriClient({ daemon })
    },
    restart: async () => daemon?.restart(),
  }
}

describeSetup(
  'containerd',
  kindOf(async () => {}),
)

describeSetup(
  'containerd with hosts of its own for Docker Hub',
  kindOf(async (certs) => {
    await mkdir(join(certs, 'docker.io'), { recursive: true })
    await writeFile(join(certs, 'docker.io/hosts.toml'), DEAD_MIRROR)
  }),
)
