/**
 * The composition root: the only place that creates components, starts them in order and stops them in reverse.
 */

import { randomUUID } from 'node:crypto'
import { homedir, hostname } from 'node:os'
import { join } from 'node:path'
import { AgentBackend } from './admin-backend.ts'
import { AgentReload } from './agent-reload.ts'
import { originSettings, readSwarmKeys } from './agent-settings.ts'
import { AgentSupport } from './agent-support.ts'
import type { AgentSwarm, AgentSwarmComponents, AgentSwarmInit } from './agent-swarm.ts'
import { Access } from './blob/access.ts'
import { BlobService } from './blob/blob-service.ts'
import { ManifestService } from './blob/manifest-service.ts'
import { noSwarm } from './blob/no-swarm.ts'
import { Outages } from './blob/outages.ts'
import { PeerKnowledge } from './blob/peer-knowledge.ts'
import type { RepositoryIndex } from './blob/ports.ts'
import type { PullServices } from './blob/services.ts'
import { LocalContent } from './blob/shared-content.ts'
import { SharedKnowledge } from './blob/shared-knowledge.ts'
import { StatedSizes } from './blob/stated-sizes.ts'
import type { Config } from './config.ts'
import { hasCode } from './errors.ts'
import { AdminServer } from './facade/admin-server.ts'
import { BodySender } from './facade/body-sender.ts'
import { ClientSightings } from './facade/client-sightings.ts'
import { PullLog } from './facade/pull-log.ts'
import { RegistryRoutes } from './facade/registry-routes.ts'
import { FacadeServer } from './facade/server.ts'
import { StatusPage } from './facade/status-page.ts'
import { TransferHistory } from './facade/transfer-history.ts'
import { listeningFor } from './listening.ts'
import { LiveConfig } from './live-config.ts'
import type { Platform } from './oci/manifest.ts'
import { DOCKER_HUB } from './oci/reference.ts'
import type { UpstreamRules } from './oci/upstream.ts'
import { DockerCredentials } from './origin/credentials.ts'
import { OriginClient } from './origin/origin-client.ts'
import { ORIGIN_DEFAULTS } from './origin/origin-defaults.ts'
import type { OriginMetrics } from './origin/origin-metrics.ts'
import type { ProxySettings } from './origin/origin-pool.ts'
import { Prewarmer } from './prewarm/prewarmer.ts'
import { CheckedHostContent } from './store/checked-host-content.ts'
import { DataDirLock } from './store/data-dir-lock.ts'
import { DiskBlobStore } from './store/disk-blob-store.ts'
import { HashPool, MAX_HASH_THREADS } from './store/hash-pool.ts'
import { HostContent } from './store/host-content.ts'
import type { ManagedBlobStore } from './store/managed-blob-store.ts'
import { NullBlobStore } from './store/null-blob-store.ts'
import { DiskRepositoryIndex } from './store/repository-index.ts'
import { createLogger } from './telemetry/logger.ts'
import { Metrics } from './telemetry/metrics.ts'
import { openTracing } from './telemetry/tracing.ts'
import { TransferLog } from './telemetry/transfer-log.ts'
import { BufferPool } from './util/buffer-pool.ts'
import { type Clock, steadyClock } from './util/clock.ts'
import { formatHostPort, type HostPort } from './util/host-port.ts'
import { collectorOfRuntime, IdleCollector } from './util/idle-collector.ts'
import { OwnLateness } from './util/lateness.ts'
import type { Logger } from './util/logger.ts'
import { noTracer, type Tracer } from './util/tracer.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface AgentInit {
  readonly config: Config
  /** Where docker's configuration and the proxies are named. */
  readonly environment: Environment
  readonly version: string
}

export interface Agent extends AsyncDisposable {
  readonly facade: readonly HostPort[]
  readonly admin: readonly HostPort[]
  readonly log: Logger
  /**
   * Takes over what can change without a restart, and says in the log what it was. Never rejects.
   * @param load reads the new configuration; what it throws leaves the old one in force
   */
  reload(load: () => Config): Promise<void>
}

/** Node's names of processor architectures, as OCI writes them: https://go.dev/doc/install/source#environment */
const ARCHITECTURES: Partial<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le', mipsel: 'mipsle' }

/** For bodies on their way to clients: two of 1 MiB for each of four at once; for more they are small. */
const BODY_BUFFERS = { bufferBytes: 1024 * 1024, smallBytes: 64 * 1024, budgetBytes: 8 * 1024 * 1024, keptBuffers: 8 }

const NO_FIGURES = {
  isMember: false,
  records: 0,
  coordinated: { blobs: 0, chunksOut: 0 },
  laneIn: 0,
  laneOut: 0,
  refusals: {},
}

const IDLE_CHECK_MS = 5_000

const PLATFORM: Platform = { os: 'linux', architecture: ARCHITECTURES[process.arch] ?? process.arch }

const clock: Clock = Date.now

function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/**
 * Resolves when clients can pull. Disposing it stops it: running bodies may finish within the configured time.
 * @throws ShoalError CONFIG_INVALID, STORE_LOCKED; the socket's error when an address cannot be bound
 */
export async function startAgent({ config, environment, version }: AgentInit): Promise<Agent> {
  await using stack = new AsyncDisposableStack()
  const live = new LiveConfig(config)
  const metrics = new Metrics({ version })
  const log = stack.use(createLogger(config.log, { logged: (level) => metrics.logged(level) }))
  const instanceId = randomUUID()
  const tracing = await openTracing({ log: log.child({ component: 'tracing' }) }, { environment, version, instanceId })
  if (tracing !== undefined) stack.use(tracing)
  const tracer = tracing?.tracer ?? noTracer
  const lateness = new OwnLateness({ clock: steadyClock })
  stack.defer(() => lateness.stop())
  const transferLog = openTransferLog(config.log.transfers, log)
  if (transferLog !== undefined) stack.use(transferLog)

  const hashes = stack.use(new HashPool({ log: log.child({ component: 'hash' }) }, { maxThreads: MAX_HASH_THREADS }))
  const { store, repositories } = await openStore(config, log, hashes, stack)
  const hostContent = new HostContent(
    { log: log.child({ component: 'host-content' }), hashes },
    { dirs: config.store.sources },
  )

  const swarmKeys = config.swarm.enabled ? await readSwarmKeys(config.swarm) : []
  const identityKey = swarmKeys[0]
  const origin = openOrigin(
    config,
    log,
    { metrics: metrics.origin, tracer },
    { version, instanceId, environment, identityKey },
  )
  stack.defer(() => origin.close())
  const checkedContent = stack.use(
    new CheckedHostContent(
      { log: log.child({ component: 'host-content' }), hashes, proven: hostContent.proven },
      { dirs: config.store.sources },
    ),
  )
  const content = new LocalContent({
    store,
    hostContent: checkedContent,
    access: { mayVouch: (registry, digest) => access.mayVouch(registry, digest) },
    runningTransfer: (digest) => blobs.runningTransfer(digest),
    knowledge: new SharedKnowledge({ origin, repositories }, { shareTags: config.swarm.shareTags }),
  })
  const agentSwarm = config.swarm.enabled
    ? await openSwarm(
        {
          content,
          prewarm: (...asked) => prewarmer.serve(...asked),
          metrics: metrics.swarm,
          tracer,
          lateness,
          directoryMetrics: metrics.directory,
          clock,
          log,
        },
        { config: config.swarm, keys: swarmKeys, dir: store.isWritable ? config.store.dir : undefined, version },
        stack,
      )
    : undefined
  const swarm = agentSwarm?.swarm ?? noSwarm
  const peers = new PeerKnowledge({ swarm, clock, log: log.child({ component: 'peers' }) })
  stack.defer(() => peers.stop())
  const outages = new Outages(
    { origin, clock },
    {
      get patienceMs() {
        return live.config.origin.patience
      },
    },
  )
  const trusted = live.derive(({ origin }) => new Set([DOCKER_HUB, origin.default, ...Object.keys(origin.registries)]))
  const access: Access = new Access(
    { origin, repositories, outages, peers, clock, log: log.child({ component: 'access' }) },
    {
      get rememberMs() {
        return live.config.origin.rememberAccess
      },
      get outageMs() {
        return live.config.origin.serveStale
      },
      get trusted() {
        return trusted()
      },
    },
  )
  const sizes = new StatedSizes()
  const history = new TransferHistory({ namesOf: (digest) => pullLog.namesOf(digest) })
  const blobs: BlobService = new BlobService(
    {
      sizes,
      store,
      hostContent,
      origin,
      swarm,
      access,
      repositories,
      metrics: transferLog?.beside(metrics.transfers) ?? metrics.transfers,
      tracer,
      lateness,
      onTransferEnd: (view, outcome) => {
        history.add(view, { outcome, endedAt: clock() })
        if (outcome === 'complete') pullLog.arrived(view)
      },
      clock,
      log: log.child({ component: 'blob' }),
    },
    {
      get headStartMs() {
        return live.config.swarm.headStart
      },
      get holdBackMs() {
        return live.config.swarm.holdBack
      },
      seed: instanceId,
    },
  )
  stack.defer(() => blobs.stop())
  const manifests = new ManifestService(
    {
      sizes,
      origin,
      store,
      swarm,
      peers,
      repositories,
      access,
      outages,
      isBlobHere: (repository, digest) => blobs.isHere(repository, digest),
      clock,
      log: log.child({ component: 'manifest' }),
      tracer,
    },
    {
      get outageMs() {
        return live.config.origin.serveStale
      },
      platform: PLATFORM,
      get headStartMs() {
        return live.config.swarm.headStart
      },
      shareTags: config.swarm.shareTags,
    },
  )
  stack.defer(() => manifests.stop())
  const upstream = live.derive(
    ({ origin }): UpstreamRules => ({
      defaultRegistry: origin.default,
      registries: new Set(Object.keys(origin.registries)),
    }),
  )
  const prewarmer: Prewarmer = new Prewarmer(
    {
      // as clients ask, so that what it brings has names for people
      blobs: {
        open: (...asked) => pullLog.services.blobs.open(...asked),
        runningTransfer: (digest) => blobs.runningTransfer(digest),
      },
      manifests: { get: (...asked) => pullLog.services.manifests.get(...asked) },
      isStored: (digest) => store.stat(digest) !== undefined,
      fleet: () => agentSwarm?.fleet,
      clock,
    },
    {
      get upstream() {
        return upstream()
      },
      platform: PLATFORM,
    },
  )
  metrics.observe({
    isReady: () => isReady,
    store: () => ({ ...store.usage, bytes: store.usage.blobBytes, isWritable: store.isWritable }),
    runningTransfers: () => blobs.list().length,
    swarm: () => ({
      connectedPeers: agentSwarm?.view.peers().filter((peer) => peer.isConnected).length ?? 0,
      bannedPeers: agentSwarm?.view.bans().length ?? 0,
      ...(agentSwarm?.figures ?? NO_FIGURES),
    }),
  })

  let isReady = false
  const services: PullServices = {
    blobs,
    manifests,
    lists: {
      tags: (scope, query, options) => origin.listTags(scope, query, options),
      catalog: (registry, query, options) => origin.listCatalog(registry, query, options),
    },
  }
  const pullLog: PullLog = new PullLog({ services, clock })
  const clients = new ClientSightings({ clock })
  const buffers = new BufferPool(BODY_BUFFERS)
  const facade = openFacade(live, log, {
    buffers,
    clients,
    services: pullLog.services,
    upstream,
    metrics,
    tracer,
    instanceId,
    isReady: () => isReady,
  })
  const backend = new AgentBackend(
    {
      store,
      blobs,
      prewarmer,
      clients,
      diagnostics: agentSwarm?.diagnostics,
      history,
      namesOf: (digest) => pullLog.namesOf(digest),
      clock,
      isReady: () => isReady,
      listening: () => ({
        facade: facade.addresses,
        admin: admin.addresses,
        swarm: agentSwarm?.addresses ?? [],
        lane: agentSwarm?.laneAddresses ?? [],
      }),
      traffic: () => metrics.traffic,
      swarm: agentSwarm?.view,
      bootstrap: () => live.config.swarm.bootstrap,
    },
    { version, instanceId, storeDir: config.store.dir },
  )
  const adminLog = log.child({ component: 'admin' })
  const page = new StatusPage({ backend, pulls: pullLog, clock, log: adminLog })
  await page.start()
  stack.defer(() => page.stop())
  const admin: AdminServer = new AdminServer(
    { backend, metrics, page, support: new AgentSupport({ live, log }), log: adminLog },
    { ...config.admin.listen, hosts: config.admin.hosts },
  )
  await agentSwarm?.start()
  await listeningFor('admin.listen', config.admin.listen, () => admin.start())
  stack.defer(() => admin.stop({ deadlineMs: 0 }))
  await listeningFor('facade.listen', config.facade.listen, () => facade.start())
  stack.defer(() => facade.stop({ deadlineMs: live.config.facade.drain }))
  const collectGarbage = collectorOfRuntime()
  const collect =
    collectGarbage &&
    ((): void => {
      buffers.release()
      collectGarbage()
    })
  const collector = new IdleCollector({ collect, cpuMicroseconds }, { checkMs: IDLE_CHECK_MS })
  collector.start()
  stack.defer(() => collector.stop())
  isReady = true
  stack.defer(() => {
    isReady = false
    log.info({}, 'stopping')
  })
  log.info(
    {
      version,
      facade: facade.addresses.map(formatHostPort),
      admin: admin.addresses.map(formatHostPort),
      swarm: agentSwarm?.addresses.map(formatHostPort),
      lane: agentSwarm?.laneAddresses.map(formatHostPort),
      peer: agentSwarm?.view.self,
    },
    'ready',
  )
  const reloads = new AgentReload({ live, log, metrics, store, origin, swarm: agentSwarm }, { keys: swarmKeys })
  const owned = stack.move()
  return {
    facade: facade.addresses,
    admin: admin.addresses,
    log,
    reload: (load) => reloads.reload(load),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

function openTransferLog(file: string | undefined, log: Logger): TransferLog | undefined {
  if (file === undefined) return undefined
  return new TransferLog({ log: log.child({ component: 'transfer-log' }), clock }, { file })
}

/** libp2p is loaded only where it is used: it takes a third of the memory of an idle agent. */
async function openSwarm(
  components: AgentSwarmComponents,
  init: AgentSwarmInit,
  stack: AsyncDisposableStack,
): Promise<AgentSwarm> {
  const loaded = await import('./agent-swarm.ts')
  return await loaded.openSwarm(components, init, stack)
}

interface OpenStore {
  readonly store: ManagedBlobStore
  readonly repositories: RepositoryIndex
}

/** Without a data directory that can be used, the agent passes everything through: worse, but no worse than no agent. */
async function openStore(
  config: Config,
  log: Logger,
  hashes: HashPool,
  stack: AsyncDisposableStack,
): Promise<OpenStore> {
  const { dir, quota } = config.store
  const storeLog = log.child({ component: 'store' })
  const repositories = new DiskRepositoryIndex({ log: storeLog, clock }, { dir })
  try {
    stack.use(new DataDirLock({ dir })).acquire()
    const store = new DiskBlobStore({ log: storeLog, clock, hashes }, { dir, quotaBytes: quota })
    await store.start()
    stack.use(store)
    await repositories.start()
    stack.use(repositories)
    return { store, repositories }
  } catch (error) {
    if (!hasCode(error, 'STORE_FULL', 'STORE_FAILED')) throw error
    storeLog.error(
      { dir, err: error },
      'the data directory cannot be used: nothing is stored, everything passes through',
    )
    return { store: new NullBlobStore(error), repositories }
  }
}

function openOrigin(
  config: Config,
  log: Logger,
  told: { metrics: OriginMetrics; tracer: Tracer },
  init: { version: string; instanceId: string; environment: Environment; identityKey: Uint8Array | undefined },
): OriginClient {
  const { origin } = config
  const { environment } = init
  const docker = environment['DOCKER_CONFIG'] ?? join(homedir(), '.docker')
  const credentials = new DockerCredentials(
    { log: log.child({ component: 'credentials' }), clock },
    { path: origin.dockerConfig ?? join(docker, 'config.json') },
  )
  return new OriginClient(
    { log: log.child({ component: 'origin' }), clock, credentials, ...told },
    {
      ...ORIGIN_DEFAULTS,
      ...originSettings(config, init.identityKey),
      userAgent: `shoal/${init.version}`,
      instanceId: init.instanceId,
      connectMs: origin.connect,
      firstByteMs: origin.firstByte,
      stallMs: origin.stall,
      connectionsPerHost: origin.connections,
      proxy: proxyOf(environment),
    },
  )
}

/** Lower case wins, as everywhere. */
function proxyOf(environment: Environment): ProxySettings {
  const value = (name: string): string => environment[name] ?? environment[name.toUpperCase()] ?? ''
  return { http: value('http_proxy'), https: value('https_proxy'), no: value('no_proxy') }
}

function openFacade(
  live: LiveConfig,
  log: Logger,
  parts: {
    buffers: BufferPool
    services: PullServices
    clients: ClientSightings
    upstream: () => UpstreamRules
    metrics: Metrics
    tracer: Tracer
    instanceId: string
    isReady: () => boolean
  },
): FacadeServer {
  const facadeLog = log.child({ component: 'facade' })
  const routes = new RegistryRoutes(
    {
      services: parts.services,
      sender: new BodySender({ pool: parts.buffers }),
      metrics: parts.metrics.facade,
      log: facadeLog,
      tracer: parts.tracer,
      clients: parts.clients,
      isReady: parts.isReady,
    },
    {
      get upstream() {
        return parts.upstream()
      },
      instanceId: parts.instanceId,
      hosts: [hostname().toLowerCase(), ...live.config.facade.hosts],
      get firstByteMs() {
        return live.config.facade.firstByte
      },
    },
  )
  const { listen, idleClient } = live.config.facade
  return new FacadeServer(
    { handle: (...raw) => routes.handle(...raw), log: facadeLog },
    { ...listen, idleMs: idleClient },
  )
}
