import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { nearestTo } from '../../../src/swarm/discovery/nearest.ts'
import { mapOf, signStatement } from '../../../src/swarm/trust/statement.ts'
import { TestBlob } from '../../fakes/fake-content.ts'
import { type FakeMembers, FakeSwarm } from '../../fakes/fake-members.ts'
import { REGISTRY, SwarmWorld, type WorldAgent } from '../../fakes/swarm-world.ts'

const CHUNK = 256 * 1024
const blob = new TestBlob(Buffer.alloc(4 * CHUNK + 100, 7))
const small = new TestBlob(Buffer.from('a manifest'))
const signal = new AbortController().signal
const unsigned = { kind: 'claim', digest: blob.digest, size: blob.bytes.length } as const
const soon = { timeout: 3_000, interval: 2 }

let world: SwarmWorld
beforeEach(() => {
  world = new SwarmWorld()
})
afterEach(() => world.stop())

function pair(): [WorldAgent, WorldAgent] {
  const [a, b] = world.connected(2)
  if (a === undefined || b === undefined) throw new Error('not there')
  return [a, b]
}

function three(): [WorldAgent, WorldAgent, WorldAgent] {
  const [a, b, c] = world.connected(3)
  if (a === undefined || b === undefined || c === undefined) throw new Error('not there')
  return [a, b, c]
}

describe('joining the swarm of a blob', () => {
  it('finds a connected peer that has it, with its map before it, and reads chunks from it', async () => {
    const [a, b] = pair()
    b.content.add(blob)
    const joined = a.join(blob)
    await vi.waitFor(() => expect(joined.peers.size).toBe(1), soon)
    expect(joined.events).toEqual([`stated map ${b.id}`, `found ${b.id}`])
    expect([...(joined.statements[0]?.hashes.values() ?? [])]).toEqual(blob.hashes)
    const peer = joined.peers.get(b.id)
    expect(peer?.size).toBe(blob.bytes.length)
    expect(joined.chunksOf(b)).toEqual([0, 1, 2, 3, 4])
    const body = await peer?.open({ start: CHUNK, end: CHUNK + 10 }, { signal })
    const pieces: Uint8Array[] = []
    for await (const piece of body?.bytes ?? []) pieces.push(piece)
    expect(Buffer.concat(pieces)).toEqual(blob.bytes.subarray(CHUNK, CHUNK + 10))
    expect(joined.searches).toBe(1)
  })

  it('finds a provider it is not connected with', async () => {
    const [a, b] = [world.agent(), world.agent()]
    a.members.join(world.agent().members)
    b.content.add(small)
    b.announce(small.digest)
    const joined = a.join(small)
    await vi.waitFor(() => expect(joined.events).toEqual([`found ${b.id}`]), soon)
    await vi.waitFor(() => expect(joined.searches).toBe(1), soon)
  })

  it('says at once that nobody is found when it is alone or nobody has it', async () => {
    const alone = world.agent().join(blob)
    const [a] = pair()
    const before = Date.now()
    const joined = a.join(blob)
    await vi.waitFor(() => expect([alone.searches, joined.searches]).toEqual([1, 1]), soon)
    expect(Date.now() - before).toBeLessThan(500)
    expect(joined.events).toEqual([])
    expect(a.directory.hasPeers).toBe(true)
  })

  it('gets only what the peer may give in the name of the registry', async () => {
    const [a, b] = pair()
    b.content.add(blob, 'private')
    const joined = a.join(blob, 'other')
    const allowed = a.join(blob, 'private')
    await vi.waitFor(() => expect(allowed.peers.size).toBe(1), soon)
    await vi.waitFor(() => expect(joined.searches).toBe(1), soon)
    expect(joined.events).toEqual([])
  })

  it('is told of chunks as they are verified elsewhere, each with the claim it rests on', async () => {
    const [a, b] = pair()
    const [atA, atB] = [a.join(blob), b.join(blob)]
    await vi.waitFor(() => expect(atA.searches + atB.searches).toBe(2), soon)
    b.content.claim(blob, [2])
    atB.blob.claim(new Map([[2, blob.hashes[2] ?? '']]))
    atB.blob.has([2])
    await vi.waitFor(() => expect(atA.chunksOf(b)).toEqual([2]), soon)
    b.content.claim(blob, [0, 3])
    atB.blob.has([0, 3])
    await vi.waitFor(() => expect(atA.chunksOf(b)).toEqual([0, 2, 3]), soon)
    expect(atA.events).toEqual([`stated claim ${b.id}`, `found ${b.id}`, `stated claim ${b.id}`, `gained ${b.id}`])
    b.content.add(blob)
    await vi.waitFor(() => expect(atA.chunksOf(b)).toHaveLength(5), soon)
    expect(atA.events.slice(4)).toEqual([`stated map ${b.id}`, `gained ${b.id}`])
  })

  it('hears what others stated from those who pass it on, and verifies it once', async () => {
    const [a, b, c] = three()
    const map = await signStatement(a.members, mapOf(blob.digest, blob.bytes.length, blob.hashes))
    for (const agent of [b, c]) {
      agent.content.claim(blob, [0])
      const share = agent.content.shares.get(blob.digest)
      if (share !== undefined) share.statements = [map]
    }
    const d = world.agent()
    d.members.join(b.members)
    d.members.join(c.members)
    d.members.join(a.members)
    const joined = d.join(blob)
    await vi.waitFor(() => expect(joined.peers.size).toBe(2), soon)
    expect(joined.events.filter((event) => event === `stated map ${a.id}`)).toHaveLength(1)
    // the map, and one claim of each of both
    expect(d.members.verifications).toBe(3)
  })

  it('counts what a stranger signed only when it turns out to be a member', async () => {
    const [signer, b, d] = [world.agent(), world.agent(), world.agent()]
    const madeUp = new FakeSwarm().agent()
    d.members.join(b.members)
    d.members.unreachable.add(signer.id)
    b.content.claim(blob, [0])
    const share = b.content.shares.get(blob.digest)
    const say = (by: FakeMembers) => signStatement(by, mapOf(blob.digest, blob.bytes.length, blob.hashes))
    world.swarm.keys.set(madeUp.self, madeUp.key)
    if (share !== undefined) share.statements = [await say(signer.members), await say(madeUp)]
    const joined = d.join(blob)
    await vi.waitFor(() => expect(joined.searches).toBe(1), soon)
    expect(joined.events).toEqual([`stated claim ${b.id}`, `found ${b.id}`])
    d.members.join(signer.members)
    expect(joined.events.slice(2)).toEqual([`stated map ${signer.id}`])
  })

  it('does not shut out at once who passes on bytes and the word of one that does not count', async () => {
    const [a, b, liar] = three()
    a.ledger.ban(liar.id, 'wrong-bytes')
    b.content.claim(blob, [0])
    const share = b.content.shares.get(blob.digest)
    const lie = await signStatement(liar.members, { ...unsigned, hashes: new Map([[0, '0'.repeat(64)]]) })
    if (share !== undefined) share.statements = [lie]
    const joined = a.join(blob)
    await vi.waitFor(() => expect(joined.peers.size).toBe(1), soon)
    const peer = joined.peers.get(b.id)
    peer?.report({ type: 'wrong-bytes', index: 0, bytes: 10 })
    expect(a.ledger.isBanned(b.id)).toBe(false)
    expect(a.ledger.standing(b.id)).toMatchObject({ failures: 1, abuses: 1 })
    peer?.report({ type: 'wrong-bytes', index: 1, bytes: 10 })
    expect(a.ledger.isBanned(b.id)).toBe(true)
  })

  it('takes no bytes of a blob that has another size than the peer said', async () => {
    const [a, b] = pair()
    b.content.add(blob)
    const joined = a.join(blob)
    await vi.waitFor(() => expect(joined.peers.size).toBe(1), soon)
    const share = b.content.shares.get(blob.digest)
    if (share !== undefined) b.content.shares.set(blob.digest, { ...share, blob: small })
    const opening = joined.peers.get(b.id)?.open({ start: 0, end: CHUNK }, { signal })
    await expect(opening).rejects.toMatchObject({ code: 'PEER_MISBEHAVED' })
  })

  it('brings those together who want the same before any of them has it', async () => {
    const hub = world.agent()
    const agents = Array.from({ length: 4 }, () => world.agent())
    for (const agent of agents) agent.members.join(hub.members)
    const joined = agents.map((agent) => agent.join(blob))
    const [first] = agents
    await vi.waitFor(() => {
      for (const agent of agents) expect(agent.members.connected.size).toBe(4)
    }, soon)
    first?.content.claim(blob, [0])
    joined[0]?.blob.has([0])
    await vi.waitFor(() => {
      for (const other of joined.slice(1)) expect(other.peers.size).toBe(1)
    }, soon)
  })

  it('is sent by the nearest members to those who announced it, without a lookup', async () => {
    const agents = world.connected(12)
    const [a] = agents
    if (a === undefined) throw new Error('not there')
    // far from the digest as the asker sees it, so that it does not ask it by itself
    const nearest = nearestTo(blob.digest, a.members.connected.keys(), 11)
    const b = world.agents.get(nearest.at(-1) ?? '')
    b?.content.add(blob)
    b?.directory.announce(blob.digest)
    world.providers.clear()
    await vi.waitFor(() => {
      expect(nearest.slice(0, 3).map((id) => world.agents.get(id)?.directory.hints)).toEqual([1, 1, 1])
    }, soon)
    const joined = a.join(blob)
    await vi.waitFor(() => expect(joined.searches).toBe(1), soon)
    expect([...joined.peers.keys()]).toEqual([b?.id])
  })

  it('loses a peer that leaves, drops the blob or is shut out, and ends what runs to it', async () => {
    const [a, b] = pair()
    b.content.add(blob)
    const joined = a.join(blob)
    await vi.waitFor(() => expect(joined.peers.size).toBe(1), soon)
    const body = await joined.peers.get(b.id)?.open({ start: 0, end: 10 }, { signal })
    b.content.remove(blob.digest)
    await vi.waitFor(() => expect(joined.peers.size).toBe(0), soon)
    const reading = (async () => {
      for await (const piece of body?.bytes ?? []) expect(piece).toHaveLength(10)
    })()
    await expect(reading).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    b.content.add(blob)
    await vi.waitFor(() => expect(joined.peers.size).toBe(1), soon)
    joined.peers.get(b.id)?.report({ type: 'wrong-bytes', index: 0, bytes: 10 })
    expect(joined.events.slice(-2)).toEqual([`banned ${b.id}`, `left ${b.id}`])
    expect(a.members.disconnects).toEqual([b.id])
    expect(a.ledger.bans()).toMatchObject([{ peer: b.id, reason: 'wrong-bytes' }])
  })

  it('tells nothing after it was left, and lets go of everything', async () => {
    const [a, b] = pair()
    const joined = a.join(blob)
    await vi.waitFor(() => expect(joined.searches).toBe(1), soon)
    joined.blob.leave()
    joined.blob.leave()
    const early = a.join(blob)
    early.blob.leave()
    b.content.add(blob)
    const again = a.join(blob)
    await vi.waitFor(() => expect(again.peers.size).toBe(1), soon)
    expect([joined.events, early.events, early.searches]).toEqual([[], [], 0])
    again.blob.leave()
    expect(a.directory.interests).toBe(0)
    await vi.waitFor(() => expect(b.directory.wants).toBe(0), soon)
  })

  it('tells one who joins later what is known already', async () => {
    const [a, b] = pair()
    b.content.add(blob)
    const first = a.join(blob)
    await vi.waitFor(() => expect(first.searches).toBe(1), soon)
    const second = a.join(blob)
    await vi.waitFor(() => expect(second.searches).toBe(1), soon)
    expect(second.events).toEqual([`stated map ${b.id}`, `found ${b.id}`])
    first.blob.leave()
    b.content.remove(blob.digest)
    await vi.waitFor(() => expect(second.peers.size).toBe(0), soon)
  })

  it('answers without its map while that has to be computed, and tells it when it is there', async () => {
    const [a, b] = pair()
    const ready = Promise.withResolvers<void>()
    b.content.hashesReady = ready.promise
    b.content.add(blob)
    const joined = a.join(blob)
    await vi.waitFor(() => expect(joined.events).toEqual([`found ${b.id}`]), soon)
    ready.resolve()
    await vi.waitFor(() => expect(joined.events).toEqual([`found ${b.id}`, `stated map ${b.id}`]), soon)
  })

  it('asks a bounded number of peers, however many say that they have it', async () => {
    const a = world.agent()
    a.members.join(world.agent().members)
    for (let count = 0; count < 60; count++) {
      const provider = world.agent()
      provider.content.add(small)
      provider.announce(small.digest)
    }
    for (let count = 0; count < 1_000; count++) world.providers.get(small.digest)?.add(`made up ${count}`)
    const joined = a.join(small)
    await vi.waitFor(() => expect(joined.searches).toBe(1), soon)
    expect(joined.peers.size).toBeLessThanOrEqual(24)
    expect(a.members.connects).toBeLessThanOrEqual(24)
  })

  it('leaves no place for good to peers that never answer or never give anything', async () => {
    const [a, ...silent] = world.connected(25)
    if (a === undefined) throw new Error('not there')
    const greedy = silent.splice(0, 12)
    for (const agent of greedy) agent.content.add(small)
    for (const agent of silent) agent.directory.stop()
    for (const agent of [...greedy, ...silent]) agent.announce(small.digest)
    const joined = a.join(small)
    await vi.waitFor(() => expect(joined.peers.size).toBe(12), soon)
    for (const peer of joined.peers.values()) peer.report({ type: 'stalled' })
    world.now += 3_000
    const honest = Array.from({ length: 20 }, () => world.agent())
    for (const agent of honest) {
      agent.members.join(a.members)
      agent.content.add(small)
      agent.announce(small.digest)
    }
    await vi.waitFor(() => {
      expect(honest.filter(({ id }) => joined.peers.has(id)).length).toBeGreaterThanOrEqual(8)
    }, soon)
  })

  it('asks again and hears everything after its streams were lost', async () => {
    const [a, b] = pair()
    const joined = a.join(blob)
    await vi.waitFor(() => expect(joined.searches).toBe(1), soon)
    for (const agent of [a, b]) agent.members.breakStreams()
    b.content.add(blob)
    await vi.waitFor(() => expect(joined.peers.size).toBe(1), soon)
    expect(joined.chunksOf(b)).toHaveLength(5)
  })
})

describe('small blobs from peers', () => {
  const ask = { digest: small.digest, registry: REGISTRY, maxBytes: 1_000 }

  it('come whole from a peer that has them', async () => {
    const [a, b] = pair()
    b.content.add(small)
    expect(await a.directory.fetchSmall(ask, { signal })).toEqual(small.bytes)
    expect(a.ledger.standing(b.id)).toMatchObject({ receivedBytes: small.bytes.length, deliveries: 1 })
    expect(await a.directory.hasBlob(ask, { signal })).toBe(true)
  })

  it('are not there when nobody has them, or nobody may give them', async () => {
    const [a, b] = pair()
    b.content.add(small, 'private')
    expect(await a.directory.fetchSmall(ask, { signal })).toBeUndefined()
    expect(await a.directory.hasBlob(ask, { signal })).toBe(false)
    expect(await world.agent().directory.fetchSmall(ask, { signal })).toBeUndefined()
  })

  it('come from an honest peer when another one lies, which is shut out', async () => {
    const [a, b, c] = three()
    for (const agent of [b, c]) agent.content.add(small)
    for (const liar of [b, c]) liar.isCorrupt = true
    expect(await a.directory.fetchSmall(ask, { signal })).toBeUndefined()
    expect(
      a.ledger
        .bans()
        .map(({ peer }) => peer)
        .sort((x, y) => x.localeCompare(y)),
    ).toEqual([b.id, c.id].sort((x, y) => x.localeCompare(y)))
    const d = world.agent()
    for (const agent of [b, c]) d.members.join(agent.members)
    c.isCorrupt = false
    expect(await d.directory.fetchSmall(ask, { signal })).toEqual(small.bytes)
  })

  it('are not fetched when they are larger than allowed, nor after the asker has left', async () => {
    const [a, b] = pair()
    b.content.add(small)
    expect(await a.directory.fetchSmall({ ...ask, maxBytes: 5 }, { signal })).toBeUndefined()
    expect(b.requests).toEqual([])
    expect(await a.directory.fetchSmall(ask, { signal: AbortSignal.abort() })).toBeUndefined()
  })

  it('of several chunks count as there only when all of them are', async () => {
    const [a, b] = pair()
    b.content.claim(blob, [0, 1])
    expect(await a.directory.hasBlob({ digest: blob.digest, registry: REGISTRY }, { signal })).toBe(false)
    b.content.add(blob)
    expect(await a.directory.hasBlob({ digest: blob.digest, registry: REGISTRY }, { signal })).toBe(true)
  })
})

describe('what others remember of origins', () => {
  const repository = { registry: 'registry.example', name: 'app' }
  const seen = { digest: small.digest, mediaType: 'application/vnd.oci.image.index.v1+json', size: 10, at: 5 }

  it('is the newest that anybody saw of a tag', async () => {
    const [a, b, c] = three()
    b.content.tags.set('registry.example/app:v1', seen)
    c.content.tags.set('registry.example/app:v1', { ...seen, digest: blob.digest, at: 6 })
    expect(await a.directory.findTag(repository, 'v1', { signal })).toEqual({ ...seen, digest: blob.digest, at: 6 })
    expect(await a.directory.findTag(repository, 'v2', { signal })).toBeUndefined()
  })

  it('is found with a provider of the tag that is not connected', async () => {
    const [a] = pair()
    const far = world.agent()
    far.content.tags.set('registry.example/app:v1', seen)
    far.directory.announceTag(repository, 'v1')
    expect(await a.directory.findTag(repository, 'v1', { signal })).toEqual(seen)
  })

  it.each([
    ['is from the future', { ...seen, at: 1_700_000_000_000 + 6 * 60_000 }],
    ['has a media type that is none', { ...seen, mediaType: 'made up by a registry' }],
  ])("is not believed when it %s, which is nobody's lie", async (_what, strange) => {
    const [a, b] = pair()
    b.content.tags.set('registry.example/app:v1', strange)
    expect(await a.directory.findTag(repository, 'v1', { signal })).toBeUndefined()
    expect(a.ledger.standing(b.id)).toMatchObject({ abuses: 0 })
  })

  it('is neither asked nor told nor announced where tags are not shared', async () => {
    const [a, b] = [world.agent({ shareTags: false }), world.agent()]
    a.members.join(b.members)
    for (const agent of [a, b]) agent.content.tags.set('registry.example/app:v1', seen)
    expect(await a.directory.findTag(repository, 'v1', { signal })).toBeUndefined()
    expect(await b.directory.findTag(repository, 'v1', { signal })).toBeUndefined()
    a.directory.announceTag(repository, 'v1')
    expect(world.providers.size).toBe(0)
  })

  it('is the last admission of one of the identities, and no later than now', async () => {
    const [a, b, c] = three()
    b.content.admissions.set('registry.example/app anonymous', 1_000)
    c.content.admissions.set('registry.example/app agent', 2_000)
    const find = (...identities: string[]) => a.directory.findAdmission(repository, identities, { signal })
    expect(await find('anonymous')).toBe(1_000)
    expect(await find('anonymous', 'agent')).toBe(2_000)
    expect(await find('somebody')).toBeUndefined()
    expect(await find()).toBeUndefined()
    c.content.admissions.set('registry.example/app agent', world.now + 60_000)
    expect(await find('agent')).toBe(world.now)
    c.content.admissions.set('registry.example/app agent', world.now + 600_000)
    expect(await find('agent')).toBeUndefined()
  })

  it('is whether a digest is in a repository', async () => {
    const [a, b] = pair()
    b.content.links.add(`registry.example/app ${small.digest}`)
    expect(await a.directory.findLink(repository, small.digest, { signal })).toBe(true)
    expect(await a.directory.findLink(repository, blob.digest, { signal })).toBe(false)
  })

  it('takes no longer than its deadline when peers do not answer', async () => {
    const [a, b] = pair()
    b.members.handlers.clear()
    const stop = new AbortController()
    const asking = a.directory.findTag(repository, 'v1', { signal: stop.signal })
    stop.abort()
    expect(await asking).toBeUndefined()
  })
})
