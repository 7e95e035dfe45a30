import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { SwarmEvents } from '../../src/blob/ports.ts'
import { frame } from '../../src/swarm/encoding/frames.ts'
import { SWARM_PROTOCOL } from '../../src/swarm/protocol/swarm-protocol.ts'
import { encodeMessage } from '../../src/swarm/protocol/wire-messages.ts'
import { mapOf, signStatement } from '../../src/swarm/trust/statement.ts'
import { TestBlob } from '../fakes/fake-content.ts'
import { type SwarmAgent, type SwarmAgents, startSwarmAgents } from '../fixtures/swarm-agents.ts'

const CHUNK = 256 * 1024
const soon = { timeout: 10_000, interval: 5 }
const signal = new AbortController().signal

function blobOf(text: string): TestBlob {
  return new TestBlob(Buffer.alloc(3 * CHUNK + 10, text))
}

function recorder(): { readonly events: string[]; readonly handlers: SwarmEvents } {
  const events: string[] = []
  const handlers: SwarmEvents = {
    found: ({ id }) => events.push(`found ${id}`),
    gained: ({ id }) => events.push(`gained ${id}`),
    left: ({ id }) => events.push(`left ${id}`),
    stated: ({ kind, signer }) => events.push(`stated ${kind} ${signer}`),
    banned: (signer) => events.push(`banned ${signer}`),
    leased: () => {},
    searched: () => events.push('searched'),
  }
  return { events, handlers }
}

describe('the swarm protocol between agents on sockets', () => {
  let swarm: SwarmAgents
  const at = (index: number): SwarmAgent => {
    const agent = swarm.agents[index]
    if (agent === undefined) throw new Error('no such agent')
    return agent
  }
  beforeAll(async () => {
    swarm = await startSwarmAgents(6)
  })
  afterAll(() => swarm[Symbol.asyncDispose]())

  it('brings a blob from an agent that announced it', async () => {
    const blob = blobOf('announced')
    at(1).content.add(blob)
    at(1).swarm.announce(blob.digest)
    const { events, handlers } = recorder()
    await vi.waitFor(async () => {
      const known: string[] = []
      for await (const id of at(4).providers.find(blob.digest, { signal })) known.push(id)
      expect(known).toEqual([at(1).node.self])
    }, soon)
    const membership = at(4).swarm.join({ digest: blob.digest, registry: 'r' }, handlers)
    await vi.waitFor(() => expect(events).toContain(`found ${at(1).node.self}`), soon)
    expect(events.indexOf(`stated map ${at(1).node.self}`)).toBe(0)
    membership.leave()
    const small = new TestBlob(Buffer.from('a manifest'))
    at(2).content.add(small)
    at(2).swarm.announce(small.digest)
    const ask = { digest: small.digest, registry: 'r', maxBytes: 100 }
    await vi.waitFor(async () => expect(await at(5).swarm.fetchSmall(ask, { signal })).toEqual(small.bytes), soon)
  })

  it('tells all who take part of each chunk, also when all start at the same moment', async () => {
    const blob = blobOf('cold start')
    const joined = swarm.agents.map(({ swarm }) => {
      const { events, handlers } = recorder()
      return { events, blob: swarm.join({ digest: blob.digest, registry: 'r' }, handlers) }
    })
    for (const [index, agent] of swarm.agents.entries()) {
      const chunk = index % blob.hashes.length
      agent.content.claim(blob, [chunk])
      joined[index]?.blob.claim(new Map([[chunk, blob.hashes[chunk] ?? '']]))
      joined[index]?.blob.has([chunk])
      agent.swarm.announce(blob.digest)
    }
    await vi.waitFor(() => {
      for (const { events } of joined) {
        expect(events.filter((event) => event.startsWith('found'))).toHaveLength(5)
        expect(events.filter((event) => event.startsWith('stated claim'))).toHaveLength(5)
      }
    }, soon)
    for (const { blob } of joined) blob.leave()
  })

  it('finds what others remember of a tag', async () => {
    const repository = { registry: 'registry.example', name: 'app' }
    const seen = {
      digest: blobOf('x').digest,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      size: 9,
      at: 1_000,
    }
    at(3).content.tags.set('registry.example/app:v1', seen)
    expect(await at(0).swarm.findTag(repository, 'v1', { signal })).toEqual(seen)
  })

  it('takes a message of the largest size, and none larger', async () => {
    const stream = await at(0).node.openStream(at(1).node.self, SWARM_PROTOCOL, { signal })
    const { digest } = blobOf('y')
    const bits = new Uint8Array(131_072)
    stream.send(frame(encodeMessage({ type: 'have', digest, registry: 'r', size: 2 ** 42, bits, statements: [] })))
    stream.send(Uint8Array.from([0x00, 0x10, 0x00, 0x01]))
    await vi.waitFor(() => expect(stream.status).not.toBe('open'), soon)
    expect(at(1).ledger.standing(at(0).node.self)).toMatchObject({ abuses: 1 })
  })

  it('shuts a liar out everywhere and for good', async () => {
    const blob = blobOf('lied about')
    const liar = at(5)
    const honest = swarm.agents.slice(0, 5)
    for (const agent of honest.slice(1)) agent.content.add(blob)
    const lie = await signStatement(
      liar.node,
      mapOf(blob.digest, blob.bytes.length, blob.hashes.with(1, 'f'.repeat(64))),
    )
    const { events, handlers } = recorder()
    const membership = at(0).swarm.join({ digest: blob.digest, registry: 'r' }, handlers)
    await vi.waitFor(() => expect(events).toContain('searched'), soon)
    membership.settle(blob.hashes, [lie])
    await vi.waitFor(() => {
      for (const { ledger } of honest) {
        expect(ledger.bans()).toMatchObject([{ peer: liar.node.self, reason: 'false-map' }])
      }
      expect(liar.node.connected.size).toBe(0)
    }, soon)
    expect(events).toContain(`banned ${liar.node.self}`)
    await expect(liar.node.connect(at(0).node.self, { signal })).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    membership.leave()
  })
})
