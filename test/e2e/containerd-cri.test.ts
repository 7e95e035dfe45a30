import { CriClient } from '../fixtures/client-cri.ts'
import { describePulls } from './describe-pulls.ts'
import { pullsByHostAndPort } from './pulls-by-host-and-port.ts'

describePulls('containerd (CRI)', CriClient, pullsByHostAndPort)
