import { PodmanClient } from '../fixtures/client-podman.ts'
import { describePulls } from './describe-pulls.ts'
import { pullsByHostAndPort } from './pulls-by-host-and-port.ts'
import { MANIFEST_FAULTS, pullsDespiteFaults } from './pulls-despite-faults.ts'

describePulls('podman', PodmanClient, (world) => {
  pullsByHostAndPort(world)
  pullsDespiteFaults(world, MANIFEST_FAULTS)
})
