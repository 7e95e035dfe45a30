import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { OCI_MANIFEST } from '../../src/oci/media-type.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { hash } from '../fixtures/fault-origin-content.ts'
import { randomBytesOf } from '../fixtures/random-bytes.ts'
import { blobHead, rangeStart, ScriptedOrigin } from '../fixtures/scripted-origin.ts'
import { TestAgent } from '../fixtures/test-agent.ts'

const MIB = 1024 * 1024
const BLOB = randomBytesOf('adversity', 8 * MIB)
const DIGEST = hash(BLOB)
const PATH = `/v2/app/blobs/${DIGEST}`

interface Pulled {
  readonly status: number
  /** Undefined when the body was cut. */
  readonly bytes: Buffer | undefined
}

async function pull(url: string, headers: Record<string, string> = {}): Promise<Pulled> {
  const answer = await fetch(url, { headers })
  try {
    return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()) }
  } catch {
    return { status: answer.status, bytes: undefined }
  }
}

describe('a blob whose bytes change at the origin in mid-pull', () => {
  it('is not completed with bytes that nobody verified', async () => {
    const wrong = Buffer.from(BLOB)
    wrong[300_000] = (wrong[300_000] ?? 0) ^ 0xff
    let answers = 0
    await using origin = await ScriptedOrigin.start((request, response) => {
      answers += 1
      blobHead(request, response, BLOB.length, answers === 1 ? '"wrong"' : '"right"')
      if (answers > 1) response.end(BLOB.subarray(rangeStart(request)))
      else response.write(wrong.subarray(0, 400_000), () => response.socket?.destroySoon())
    })
    await using agent = await TestAgent.start({ origins: [origin.registry] })
    const { status, bytes } = await pull(agent.url(PATH))
    const isComplete = status === 200 && bytes !== undefined
    expect(isComplete && !bytes.equals(BLOB)).toBe(false)
  })
})

describe('an origin that once stated a wrong size', () => {
  it('spoils one pull and no more', async () => {
    let answers = 0
    await using origin = await ScriptedOrigin.start((request, response) => {
      answers += 1
      const isFirst = answers === 1
      blobHead(request, response, isFirst ? BLOB.length + 1000 : BLOB.length)
      if (isFirst) response.write(BLOB.subarray(0, 3 * MIB), () => response.socket?.destroySoon())
      else response.end(BLOB.subarray(rangeStart(request)))
    })
    await using agent = await TestAgent.start({ origins: [origin.registry] })
    await pull(agent.url(PATH))
    await agent.idle()
    await pull(agent.url(PATH))
    await agent.idle()
    expect((await pull(agent.url(PATH))).bytes?.equals(BLOB)).toBe(true)
  })
})

describe('an origin that lets one connection through', () => {
  it('serves a client that asks for a far range, and the one whose pull runs', { timeout: 20_000 }, async () => {
    let busy = 0
    let isHeld = true
    await using origin = await ScriptedOrigin.start((request, response) => {
      if (request.method === 'HEAD') {
        blobHead(request, response, BLOB.length)
        response.end()
        return
      }
      if (busy > 0) {
        response.writeHead(429, { 'retry-after': '60' }).end()
        isHeld = false
        return
      }
      busy += 1
      response.on('close', () => {
        busy -= 1
      })
      blobHead(request, response, BLOB.length)
      let position = rangeStart(request)
      const more = setInterval(() => {
        if (isHeld && position > MIB) return
        response.write(BLOB.subarray(position, position + 128 * 1024))
        position += 128 * 1024
        if (position < BLOB.length && !response.destroyed) return
        clearInterval(more)
        response.end()
      }, 5)
    })
    await using agent = await TestAgent.start({ origins: [origin.registry] })
    const whole = pull(agent.url(PATH))
    const start = 7 * MIB
    const far = await pull(agent.url(PATH), { range: `bytes=${start}-` })
    expect(far.bytes?.equals(BLOB.subarray(start))).toBe(true)
    expect((await whole).bytes?.equals(BLOB)).toBe(true)
    expect(isHeld).toBe(false)
  })
})

describe('credentials', () => {
  it('of one client that expire in mid-pull do not end the pull of another', { timeout: 30_000 }, async () => {
    let isExpired = false
    const held = Promise.withResolvers<void>()
    await using origin = await ScriptedOrigin.start((request, response) => {
      if (request.headers.authorization === 'Bearer short' && isExpired) {
        response.writeHead(401).end()
        return
      }
      blobHead(request, response, BLOB.length)
      if (request.method === 'HEAD') {
        response.end()
        return
      }
      if (request.headers.authorization !== 'Bearer short') {
        response.end(BLOB.subarray(rangeStart(request)))
        return
      }
      response.write(BLOB.subarray(0, 2 * MIB))
      void held.promise.then(() => response.socket?.destroySoon())
    })
    await using agent = await TestAgent.start({ origins: [origin.registry] })
    const first = pull(agent.url(PATH), { authorization: 'Bearer short' })
    const second = await fetch(agent.url(PATH), { headers: { authorization: 'Bearer long' } })
    isExpired = true
    held.resolve()
    expect(Buffer.from(await second.arrayBuffer()).equals(BLOB)).toBe(true)
    expect((await first).bytes?.equals(BLOB)).toBe(true)
  })

  it('of the agent that are taken away in mid-pull do not make its content everybody’s', async () => {
    await using origin = await FaultOrigin.start()
    const digest = origin.addBlob(BLOB)
    origin.addManifest('app', 'v1', '{}', OCI_MANIFEST)
    origin.auth = { kind: 'basic', users: { agent: 'secret' } }
    await using agent = await TestAgent.start({ origins: [origin.registry] })
    const docker = join(agent.dir, 'docker')
    await mkdir(docker)
    const auth = Buffer.from('agent:secret').toString('base64')
    await writeFile(join(docker, 'config.json'), JSON.stringify({ auths: { [origin.registry]: { auth } } }))
    await agent.restart()
    const hang = origin.inject({ fault: { kind: 'hang' }, match: { path: /blobs/ } })
    const pulling = pull(agent.url(`/v2/app/blobs/${digest}`))
    await origin.until(() => hang.hits > 0)
    await rm(docker, { recursive: true })
    // The file is looked at once a second: only then does the agent know.
    await expect.poll(async () => (await pull(agent.url('/v2/app/manifests/v1'))).status, { timeout: 5_000 }).toBe(404)
    hang.release()
    await pulling
    await agent.idle()
    expect((await pull(agent.url(`/v2/app/blobs/${digest}`))).status).toBe(404)
  })
})

describe('a manifest that lists what its repository does not have', () => {
  it('opens nothing', async () => {
    await using origin = await FaultOrigin.start()
    const secret = origin.addBlob(BLOB, { repository: 'secret' })
    const listed = { mediaType: 'application/octet-stream', digest: secret, size: BLOB.length }
    const document = JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: listed, layers: [listed] })
    const manifest = origin.addManifest('evil', 'v1', document, OCI_MANIFEST)
    const users = { ann: 'a', eve: 'e' }
    const admits = (user: string | undefined, name: string): boolean => user === 'ann' || name === 'evil'
    origin.auth = { kind: 'basic', users, admits }
    const as = (user: string, password: string): Record<string, string> => ({
      authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
    })
    await using agent = await TestAgent.start({ origins: [origin.registry] })
    expect((await pull(agent.url(`/v2/secret/blobs/${secret}`), as('ann', 'a'))).status).toBe(200)
    await agent.idle()
    expect((await pull(agent.url(`/v2/evil/manifests/${manifest}`), as('eve', 'e'))).status).toBe(200)
    expect((await pull(agent.url(`/v2/evil/blobs/${secret}`), as('eve', 'e'))).status).toBe(404)
  })
})

describe('an origin that hangs', () => {
  it('is waited for no longer than the patience when an earlier answer can stand in', async () => {
    await using origin = await FaultOrigin.start()
    const document = JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: {}, layers: [] })
    const manifest = origin.addManifest('app', 'v1', document, OCI_MANIFEST)
    await using agent = await TestAgent.start({ origins: [origin.registry], origin: { patience: '200ms' } })
    expect((await pull(agent.url('/v2/app/manifests/v1'))).status).toBe(200)
    origin.inject({ fault: { kind: 'hang' }, times: 1000 })
    const answer = await fetch(agent.url('/v2/app/manifests/v1'))
    expect(answer.headers.get('docker-content-digest')).toBe(manifest)
    expect(answer.headers.get('cache-status')).toContain('origin-unreachable')
    const asked = origin.requests.length
    expect((await pull(agent.url('/v2/app/manifests/v1'))).status).toBe(200)
    expect(origin.requests).toHaveLength(asked)
  })
})
