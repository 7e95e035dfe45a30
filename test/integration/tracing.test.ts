/** The course of a pull as a collector of traces sees it. */
import { describe, expect, it, vi } from 'vitest'
import { blobOf } from '../fixtures/adversary/false-blob.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { TestAgent } from '../fixtures/test-agent.ts'
import { type CollectedSpan, TraceCollector } from '../fixtures/trace-collector.ts'

const CHUNKS = 8
const SOON = { timeout: 15_000, interval: 20 }
const TRACE = '0af7651916cd43dd8448eb211c80319c'
const CALLER = 'b7ad6b7169203331'
const AUTHORIZATION = `Basic ${Buffer.from('someone:p4ssw0rd').toString('base64')}`

function traced(collector: TraceCollector, more: Record<string, string> = {}): Record<string, string> {
  return { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...more }
}

function only(spans: readonly CollectedSpan[], name: string): CollectedSpan {
  const found = spans.filter((span) => span.name === name)
  if (found[0] === undefined || found.length > 1) throw new Error(`${found.length} spans ${name}`)
  return found[0]
}

describe('a traced pull', () => {
  it('from the registry is one tree, from the caller down to the requests, and holds no secrets', async () => {
    await using collector = await TraceCollector.start()
    await using origin = await FaultOrigin.start()
    const blob = blobOf('traced from the registry', CHUNKS)
    origin.addBlob(blob.bytes)
    const agent = await TestAgent.start({
      origins: [origin.registry],
      environment: traced(collector, { OTEL_SERVICE_NAME: 'mirror', OTEL_RESOURCE_ATTRIBUTES: 'host.name=h%201,a=b' }),
    })
    try {
      const headers = { traceparent: `00-${TRACE}-${CALLER}-01`, authorization: AUTHORIZATION }
      const url = agent.url(`/v2/app/blobs/${blob.digest}?token=qu3ry`)
      const answer = await fetch(url, { headers })
      expect(Buffer.from(await answer.arrayBuffer()).equals(blob.bytes)).toBe(true)
      await fetch(agent.url('/v2/'))
      await agent.idle()
    } finally {
      await agent.close()
    }
    expect(new Set(collector.paths)).toEqual(new Set(['/v1/traces']))
    const { spans } = collector
    expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]))
    const root = only(spans, 'GET blob')
    expect(root).toMatchObject({
      parentId: CALLER,
      kind: 2,
      status: 0,
      attributes: {
        'http.request.method': 'GET',
        'http.response.status_code': 200,
        'url.path': `/v2/app/blobs/${blob.digest}`,
        'shoal.cache': 'miss',
        'http.response.body.size': blob.bytes.length,
      },
      resource: { 'service.name': 'mirror', 'host.name': 'h 1', a: 'b', 'service.version': '0.0.0-test' },
    })
    expect(collector.pathOf(only(spans, 'transfer'))).toEqual(['GET blob', 'open blob', 'transfer'])
    expect(only(spans, 'transfer').attributes).toMatchObject({ 'shoal.outcome': 'complete', 'shoal.used_peers': false })
    const runs = spans.filter(({ name }) => name === 'run')
    expect(runs.length).toBeGreaterThan(0)
    for (const run of runs) {
      expect(collector.pathOf(run)).toEqual(['GET blob', 'open blob', 'transfer', 'run'])
      expect(run.attributes['shoal.source']).toBe('origin')
    }
    const asked = spans.filter(({ name }) => name === 'ask origin for blob')
    expect(asked.length).toBeGreaterThan(0)
    for (const { kind, attributes, ...span } of asked) {
      expect(kind).toBe(3)
      expect(attributes).toMatchObject({ 'server.address': origin.registry, 'http.response.status_code': 200 })
      expect(spans.some(({ spanId }) => spanId === span.parentId)).toBe(true)
    }
    const sent = Buffer.concat(collector.bodies).toString('latin1')
    for (const secret of ['qu3ry', AUTHORIZATION, AUTHORIZATION.slice(6), 'p4ssw0rd'])
      expect(sent).not.toContain(secret)
  })

  it('from a peer shows the requests to that peer', async () => {
    await using collector = await TraceCollector.start()
    await using origin = await FaultOrigin.start()
    const blob = blobOf('traced from a peer', CHUNKS)
    origin.addBlob(blob.bytes)
    const swarm = { secret: 'a secret of the test' }
    await using giver = await TestAgent.start({ origins: [origin.registry], swarm })
    await (await fetch(giver.url(`/v2/app/blobs/${blob.digest}`))).arrayBuffer()
    await giver.idle()
    const bootstrap = (await giver.status()).listening.swarm.slice(0, 1)
    const environment = traced(collector)
    const taker = await TestAgent.start({ origins: [origin.registry], swarm: { ...swarm, bootstrap }, environment })
    try {
      await vi.waitUntil(async () => (await taker.status()).swarm?.connected === 1, SOON)
      origin.inject({
        fault: { kind: 'slow', bytesPerSecond: 64 * 1024 },
        match: { path: /\/blobs\// },
        times: Infinity,
      })
      await (await fetch(taker.url(`/v2/app/blobs/${blob.digest}`))).arrayBuffer()
      await taker.idle()
    } finally {
      await taker.close()
    }
    const { spans } = collector
    const peer = (await giver.status()).swarm?.id
    const asked = spans.filter(({ name }) => name === 'ask peer')
    expect(asked.length).toBeGreaterThan(0)
    for (const span of asked) {
      expect(collector.pathOf(span)).toEqual(['GET blob', 'open blob', 'transfer', 'run', 'ask peer'])
      expect(span).toMatchObject({ kind: 3, attributes: { 'shoal.peer': peer, 'shoal.digest': blob.digest } })
    }
    const byPeer = spans.filter(({ name, attributes }) => name === 'run' && attributes['shoal.source'] === 'peer')
    expect(byPeer.reduce((sum, { attributes }) => sum + Number(attributes['shoal.bytes']), 0)).toBeGreaterThan(0)
    expect(only(spans, 'transfer').attributes).toMatchObject({ 'shoal.outcome': 'complete', 'shoal.used_peers': true })
    expect(spans.every(({ resource }) => resource['service.name'] === 'shoal')).toBe(true)
  })

  it('that fails says so, and a collector that is gone holds nothing up', async () => {
    await using origin = await FaultOrigin.start()
    const collector = await TraceCollector.start()
    const agent = await TestAgent.start({ origins: [origin.registry], environment: traced(collector) })
    expect((await fetch(agent.url('/v2/app/manifests/none'))).status).toBe(404)
    await agent.stop()
    const root = only(collector.spans, 'GET manifest')
    expect(root).toMatchObject({ status: 2, parentId: '', attributes: { 'http.response.status_code': 404 } })
    expect(collector.pathOf(only(collector.spans, 'get manifest'))).toEqual(['GET manifest', 'get manifest'])
    await agent.restart()
    await collector[Symbol.asyncDispose]()
    expect((await fetch(agent.url('/v2/app/manifests/none'))).status).toBe(404)
    const begun = performance.now()
    await agent.close()
    expect(performance.now() - begun).toBeLessThan(6_000)
  })

  it.each([{ OTEL_SDK_DISABLED: 'true' }, { OTEL_TRACES_EXPORTER: 'none' }, { OTEL_TRACES_SAMPLER: 'always_off' }])(
    'is not told with %o',
    async (variables) => {
      await using collector = await TraceCollector.start()
      await using origin = await FaultOrigin.start()
      const agent = await TestAgent.start({ origins: [origin.registry], environment: traced(collector, variables) })
      await fetch(agent.url('/v2/app/manifests/none'))
      await agent.close()
      expect(collector.bodies).toEqual([])
    },
  )
})
