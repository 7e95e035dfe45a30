import { DockerClient } from '../fixtures/client-docker.ts'
import { describePulls } from './describe-pulls.ts'
import { BLOB_FAULTS, MANIFEST_FAULTS, pullsDespiteFaults } from './pulls-despite-faults.ts'

describePulls('docker', DockerClient, (world) => {
  pullsDespiteFaults(world, [...MANIFEST_FAULTS, ...BLOB_FAULTS])
})
