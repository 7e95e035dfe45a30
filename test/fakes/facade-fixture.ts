import type { PullServices } from '../../src/blob/services.ts'
import { BodySender } from '../../src/facade/body-sender.ts'
import type { FacadeMetrics } from '../../src/facade/facade-metrics.ts'
import { RegistryRoutes } from '../../src/facade/registry-routes.ts'
import { FacadeServer } from '../../src/facade/server.ts'
import { BufferPool } from '../../src/util/buffer-pool.ts'
import { FakeLogger } from './fake-logger.ts'

export interface FacadeFixtureInit {
  readonly firstByteMs?: number
  readonly idleMs?: number
  readonly host?: string
  readonly hosts?: readonly string[]
}

/** A facade on a port of its own before given services. */
export class FacadeFixture implements AsyncDisposable {
  readonly log = new FakeLogger()
  readonly answers: string[] = []
  ready = true
  sentBytes = 0
  readonly failures: string[] = []
  /** `User-Agent` of each request that was not refused. */
  readonly seen: (string | undefined)[] = []
  readonly server: FacadeServer

  constructor(services: PullServices, init: FacadeFixtureInit = {}) {
    const metrics: FacadeMetrics = {
      answered: (kind, outcome) => void this.answers.push(`${kind} ${outcome}`),
      failed: (kind, code) => void this.failures.push(`${kind} ${code}`),
      stale: () => {},
      firstByte: () => {},
      lastByte: () => {},
      served: (_origin, bytes) => {
        this.sentBytes += bytes
      },
    }
    const pool = new BufferPool({
      bufferBytes: 64 * 1024,
      smallBytes: 4 * 1024,
      budgetBytes: 1024 * 1024,
      keptBuffers: 2,
    })
    const routes = new RegistryRoutes(
      {
        services,
        sender: new BodySender({ pool }),
        metrics,
        log: this.log,
        clients: { note: (userAgent) => void this.seen.push(userAgent) },
        isReady: () => this.ready,
      },
      {
        upstream: { defaultRegistry: 'docker.io', registries: new Set() },
        instanceId: 'agent-1',
        hosts: init.hosts ?? [],
        firstByteMs: init.firstByteMs ?? 20_000,
      },
    )
    this.server = new FacadeServer(
      { handle: (request, response) => routes.handle(request, response), log: this.log },
      { host: init.host ?? '127.0.0.1', port: 0, idleMs: init.idleMs ?? 0 },
    )
  }

  get port(): number {
    const port = this.server.addresses[0]?.port
    if (port === undefined) throw new Error('not started')
    return port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop({ deadlineMs: 0 })
  }
}

export async function startFacade(services: PullServices, init: FacadeFixtureInit = {}): Promise<FacadeFixture> {
  const facade = new FacadeFixture(services, init)
  await facade.server.start()
  return facade
}
