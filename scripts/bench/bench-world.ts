import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Digest } from '../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../src/oci/media-type.ts'
import { AgentProcess } from '../../test/fixtures/agent-process.ts'
import { type Child, missing, run } from '../../test/fixtures/child.ts'
import { sha256 } from '../../test/fixtures/image.ts'
import { pushImage } from '../../test/fixtures/push-image.ts'
import { RegistryProcess } from '../../test/fixtures/registry-process.ts'
import { installIn } from './installed.ts'
import { startNginx } from './nginx.ts'
import { cpuSeconds, memoryMiB } from './process-usage.ts'

export interface PushedBlob {
  readonly digest: Digest
  readonly bytes: Buffer
}

/** A real registry, an agent in front of it, and nginx beside them. One for each section. */
export class BenchWorld {
  static readonly repository = 'bench/blobs'
  readonly dir: string
  readonly registry: RegistryProcess
  readonly agent: AgentProcess
  /** The command `shoal`, as it is installed. */
  readonly program: string
  readonly #children: Child[] = []

  private constructor(dir: string, registry: RegistryProcess, agent: AgentProcess, program: string) {
    this.dir = dir
    this.registry = registry
    this.agent = agent
    this.program = program
  }

  static missingPrograms(): string | undefined {
    return missing(['docker-registry', 'nginx', 'wrk', 'curl', 'sha256sum', 'openssl'], { root: false })
  }

  static async start(): Promise<BenchWorld> {
    const dir = await mkdtemp(join(tmpdir(), 'shoal-bench-'))
    const program = await installIn(join(dir, 'shoal'))
    const registry = await RegistryProcess.start()
    const agent = await AgentProcess.start({
      program,
      config: {
        origin: {
          default: registry.direct,
          registries: { [registry.direct]: { plainHttp: true }, [registry.registry]: { plainHttp: true } },
        },
      },
    })
    return new BenchWorld(dir, registry, agent, program)
  }

  async close(): Promise<void> {
    for (const child of this.#children) await child.stop()
    await this.agent.close()
    await this.registry.close()
    await rm(this.dir, { recursive: true, force: true })
  }

  /** Random bytes, as a blob of the registry. */
  async pushBlob(size: number): Promise<PushedBlob> {
    const bytes = randomBytes(size)
    const digest = sha256(bytes)
    await this.pushBlobs([{ digest, bytes }])
    return { digest, bytes }
  }

  /** With a manifest that lists them. @returns its digest */
  async pushBlobs(blobs: readonly PushedBlob[], tag = 'bench'): Promise<Digest> {
    const config = Buffer.from('{}')
    const layers = blobs.map(({ digest, bytes }) => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      digest,
      size: bytes.length,
    }))
    const document = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: sha256(config), size: config.length },
      layers,
    }
    const bytes = Buffer.from(JSON.stringify(document))
    const manifest = { digest: sha256(bytes), mediaType: OCI_MANIFEST, bytes }
    const all = new Map([[sha256(config), config], ...blobs.map((blob) => [blob.digest, blob.bytes] as const)])
    const image = { digest: manifest.digest, manifests: [manifest], blobs: all }
    await pushImage(image, this.registry.direct, BenchWorld.repository, tag)
    return manifest.digest
  }

  agentUrl(path: string): string {
    return `${this.agent.facadeUrl}/v2/${BenchWorld.repository}/${path}`
  }

  registryUrl(path: string): string {
    return `http://${this.registry.direct}/v2/${BenchWorld.repository}/${path}`
  }

  /** @returns its URL, and the process to measure */
  async startNginx(root: string, options: { tls?: boolean } = {}): Promise<{ url: string; pid: number }> {
    const { url, child } = await startNginx({ dir: this.dir, root, ...options })
    this.#children.push(child)
    return { url, pid: child.pid ?? 0 }
  }

  async removeFromAgent(digest: Digest): Promise<void> {
    await fetch(`${this.agent.adminUrl}/api/blobs/${digest}`, { method: 'DELETE' })
  }

  /** Resolves when the agent has stored what it was fetching. */
  async stored(): Promise<void> {
    while ((await this.agent.status()).transfers.length > 0);
  }

  /** Of the agent's process. */
  memoryMiB(field: 'VmRSS' | 'VmHWM'): number {
    return memoryMiB(this.agent.pid, field)
  }

  /** CPU time the agent's process has used. */
  cpuSeconds(): number {
    return cpuSeconds(this.agent.pid)
  }
}

/** Downloads with curl, `clients` at once. @returns milliseconds until the last has ended */
export async function curl(url: string, options: { clients?: number; output?: string } = {}): Promise<number> {
  const { clients = 1, output = '/dev/null' } = options
  const begun = performance.now()
  const args = ['-sSf', '-o', output, url]
  await Promise.all(Array.from({ length: clients }, () => run('curl', args, { timeoutMs: 300_000 })))
  return performance.now() - begun
}
