import { ContainerdClient } from '../fixtures/client-containerd.ts'
import { describePulls } from './describe-pulls.ts'
import { pullsByHostAndPort } from './pulls-by-host-and-port.ts'
import { BLOB_FAULTS, MANIFEST_FAULTS, pullsDespiteFaults } from './pulls-despite-faults.ts'

describePulls('containerd', ContainerdClient, (world) => {
  pullsByHostAndPort(world)
  pullsDespiteFaults(world, [...MANIFEST_FAULTS, ...BLOB_FAULTS])
})
