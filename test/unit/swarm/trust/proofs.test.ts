import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ChunkStatement } from '../../../../src/blob/ports.ts'
import { ProofDesk } from '../../../../src/swarm/trust/proof-desk.ts'
import { mapOf, signStatement } from '../../../../src/swarm/trust/statement.ts'
import { TestBlob } from '../../../fakes/fake-content.ts'
import { silentLog } from '../../../fakes/silent-log.ts'
import { REGISTRY, SwarmWorld, type WorldAgent } from '../../../fakes/swarm-world.ts'

const CHUNK = 256 * 1024
const MINUTE = 60_000
const blob = new TestBlob(Buffer.alloc(4 * CHUNK + 100, 7))
const wrong = blob.hashes.with(2, '0'.repeat(64))
const soon = { timeout: 3_000, interval: 2 }

let world: SwarmWorld
beforeEach(() => {
  world = new SwarmWorld()
})
afterEach(() => world.stop())

function agents(): [WorldAgent, WorldAgent, WorldAgent, WorldAgent] {
  const [a, b, c, liar] = world.connected(4)
  if (a === undefined || b === undefined || c === undefined || liar === undefined) throw new Error('not there')
  return [a, b, c, liar]
}

const falseMap = (liar: WorldAgent, hashes: readonly string[] = wrong): Promise<ChunkStatement> =>
  signStatement(liar.members, mapOf(blob.digest, blob.bytes.length, hashes))

const banned = (agent: WorldAgent) =>
  agent.ledger.bans().map(({ peer, reason, fromPeer }) => ({ peer, reason, fromPeer }))

describe('proofs of false statements', () => {
  it('shut out a liar at everybody who can check them, and make void what it said', async () => {
    const [a, b, c, liar] = agents()
    c.content.add(blob)
    const lie = await falseMap(liar)
    const truth = await falseMap(b, blob.hashes)
    const joined = a.join(blob)
    await vi.waitFor(() => expect(joined.peers.size).toBe(1), soon)
    joined.blob.settle(blob.hashes, [truth, lie])
    expect(banned(a)).toEqual([{ peer: liar.id, reason: 'false-map', fromPeer: undefined }])
    expect(joined.banned).toEqual([liar.id])
    expect(a.members.connected.has(liar.id)).toBe(false)
    await vi.waitFor(() => {
      expect(banned(c)).toEqual([{ peer: liar.id, reason: 'false-map', fromPeer: a.id }])
    }, soon)
    expect(banned(b)).toEqual([])
    world.now += 24 * 60 * MINUTE - 1
    expect(a.ledger.isBanned(liar.id)).toBe(true)
    world.now += 1
    expect(a.ledger.isBanned(liar.id)).toBe(false)
  })

  it('are kept by those without the blob until they have it', async () => {
    const [a, b, , liar] = agents()
    a.join(blob).blob.settle(blob.hashes, [await falseMap(liar)])
    await vi.waitFor(() => expect(b.content.hashings).toBe(1), soon)
    expect(banned(b)).toEqual([])
    b.content.add(blob)
    await vi.waitFor(() => expect(banned(b)).toMatchObject([{ peer: liar.id, fromPeer: a.id }]), soon)
  })

  it('are checked when a transfer of the blob ends', async () => {
    const [a, b, , liar] = agents()
    const joined = b.join(blob)
    a.join(blob).blob.settle(blob.hashes, [await falseMap(liar)])
    await vi.waitFor(() => expect(b.content.hashings).toBe(1), soon)
    joined.blob.settle(blob.hashes, [])
    expect(banned(b)).toMatchObject([{ peer: liar.id, fromPeer: a.id }])
  })

  it('of false claims shut out for ten minutes: the origin may have fooled their signer', async () => {
    const [a, , , liar] = agents()
    const hashes = new Map([[2, wrong[2] ?? '']])
    const claim = await signStatement(liar.members, {
      kind: 'claim',
      digest: blob.digest,
      size: blob.bytes.length,
      hashes,
    })
    a.join(blob).blob.settle(blob.hashes, [claim])
    expect(banned(a)).toMatchObject([{ peer: liar.id, reason: 'false-claim' }])
    world.now += 10 * MINUTE
    expect(banned(a)).toEqual([])
  })

  it('are shown to those who come later, while the ban lasts', async () => {
    const [a, , , liar] = agents()
    const first = a.join(blob)
    first.blob.settle(blob.hashes, [await falseMap(liar)])
    first.blob.leave()
    const late = world.agent()
    late.content.add(blob)
    late.members.join(a.members)
    await vi.waitFor(() => expect(banned(late)).toMatchObject([{ peer: liar.id, fromPeer: a.id }]), soon)
    world.now += 24 * 60 * MINUTE
    const later = world.agent()
    later.content.add(blob)
    later.members.join(a.members)
    const joined = later.join(blob)
    await vi.waitFor(() => expect(joined.searches).toBe(1), soon)
    expect(later.content.hashings).toBe(0)
  })

  it('count once: who keeps one can not have its signer shut out again and again', async () => {
    const [a, b, c, fooled] = agents()
    a.content.add(blob)
    const lie = await falseMap(fooled)
    const raw = await b.rawStream(a)
    raw.send({ type: 'ban', proof: lie.encoded })
    await vi.waitFor(() => expect(a.ledger.isBanned(fooled.id)).toBe(true), soon)
    world.now += 24 * 60 * MINUTE
    fooled.members.join(a.members)
    // what one agent remembers only for this run, the ledger keeps for the next
    const again = new ProofDesk({
      members: a.members,
      ledger: a.ledger,
      content: a.content,
      show: () => {},
      verify: () => Promise.resolve(lie),
      clock: () => world.now,
      log: silentLog,
    })
    await again.shown(c.id, lie.encoded)
    again.settle(blob.digest, blob.hashes, [lie])
    expect(banned(a)).toEqual([])
  })

  it('are not taken for the truth by who has seen them before', async () => {
    const [a, b, , liar] = agents()
    const lie = await falseMap(liar)
    a.join(blob).blob.settle(blob.hashes, [lie])
    world.now += 24 * 60 * MINUTE
    liar.members.join(a.members)
    const joined = a.join(blob)
    await vi.waitFor(() => expect(joined.searches).toBe(1), soon)
    const raw = await b.rawStream(a)
    const truth = await falseMap(b, blob.hashes)
    const statements = [lie.encoded, truth.encoded]
    raw.send({
      type: 'have',
      digest: blob.digest,
      registry: REGISTRY,
      size: blob.bytes.length,
      bits: undefined,
      statements,
    })
    await vi.waitFor(() => expect(joined.statements.map(({ signer }) => signer)).toEqual([b.id]), soon)
  })

  it('are checked on even when one check fails', async () => {
    const [a, b, c, liar] = agents()
    a.content.add(blob)
    a.ledger.subscribe(() => {
      throw new Error('planned')
    })
    const raw = await b.rawStream(a)
    raw.send({ type: 'ban', proof: (await falseMap(c)).encoded })
    raw.send({ type: 'ban', proof: (await falseMap(liar)).encoded })
    await vi.waitFor(() => expect(banned(a)).toHaveLength(2), soon)
  })

  it('that prove nothing turn against those who show them', async () => {
    const [a, b, c, victim] = agents()
    a.content.add(blob)
    const raw = await b.rawStream(a)
    for (let count = 1; count <= 3; count++) {
      const hashes = new Map([[count, blob.hashes[count] ?? '']])
      const unsigned = { kind: 'claim', digest: blob.digest, size: blob.bytes.length, hashes } as const
      const { encoded } = await signStatement(victim.members, unsigned)
      raw.send({ type: 'ban', proof: encoded })
    }
    await vi.waitFor(() => expect(banned(a)).toEqual([{ peer: b.id, reason: 'protocol', fromPeer: undefined }]), soon)
    expect(banned(c)).toEqual([])
  })

  it('that nobody signed shut out nobody else and cost the stream', async () => {
    const [a, b, , victim] = agents()
    a.content.add(blob)
    const { encoded } = await falseMap(victim)
    const forged = encoded.slice()
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
    const raw = await b.rawStream(a)
    raw.send({ type: 'ban', proof: forged })
    await vi.waitFor(() => expect(raw.isClosed()).toBe(true), soon)
    expect(banned(a)).toEqual([])
    expect(a.ledger.standing(b.id)).toMatchObject({ abuses: 1 })
  })

  it('against this agent itself are logged and change nothing', async () => {
    const [a, b] = agents()
    a.content.add(blob)
    const { encoded } = await falseMap(a)
    const raw = await b.rawStream(a)
    raw.send({ type: 'ban', proof: encoded })
    await vi.waitFor(() => {
      expect(a.warnings).toEqual(['a peer accuses this agent of a false statement'])
    }, soon)
    a.join(blob).blob.settle(blob.hashes, [await falseMap(a)])
    expect([...banned(a), ...banned(b)]).toEqual([])
  })

  it('about blobs that nobody has here take bounded memory', async () => {
    const [a, b, , liar] = agents()
    const raw = await b.rawStream(a)
    for (let count = 0; count < 100; count++) {
      const { encoded } = await signStatement(liar.members, {
        kind: 'claim',
        digest: blob.digest,
        size: blob.bytes.length,
        hashes: new Map([[0, count.toString(16).padStart(64, '0')]]),
      })
      raw.send({ type: 'ban', proof: encoded })
    }
    await vi.waitFor(() => expect(a.content.hashings).toBeGreaterThan(16), soon)
    await vi.waitFor(() => expect(a.members.verifications).toBe(100), soon)
    expect(a.directory.pendingProofs).toBeLessThanOrEqual(16)
    expect(banned(a)).toEqual([])
  })
})
