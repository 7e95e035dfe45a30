import { SkopeoClient } from '../fixtures/client-skopeo.ts'
import { describePulls } from './describe-pulls.ts'
import { pullsByHostAndPort } from './pulls-by-host-and-port.ts'

describePulls('skopeo', SkopeoClient, pullsByHostAndPort)
