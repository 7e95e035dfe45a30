/** Peers that accuse others, and an origin that makes an honest one say what is not so. */

import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { BanStatus } from '../../src/facade/admin-api.ts'
import { encodeCanonical } from '../../src/swarm/encoding/strict-cbor.ts'
import { ephemeralIdentity } from '../../src/swarm/membership/identity.ts'
import type { WireMessage } from '../../src/swarm/protocol/wire-messages.ts'
import { openEnvelope } from '../../src/swarm/trust/signed-envelope.ts'
import { mapOf, signStatement } from '../../src/swarm/trust/statement.ts'
import type { TestBlob } from '../fakes/fake-content.ts'
import type { Adversary } from '../fixtures/adversary/adversary.ts'
import { Arena } from '../fixtures/adversary/arena.ts'
import { allChunks, blobOf, CHUNK_BYTES, falsified } from '../fixtures/adversary/false-blob.ts'
import { gives } from '../fixtures/adversary/lane-scripts.ts'
import { bansOf, CHUNKS } from '../fixtures/adversary/trial.ts'
import { WatchedPulls } from '../fixtures/adversary/watched-pulls.ts'

const SOON = { timeout: 15_000, interval: 20 }
const TEN_MINUTES_MS = 10 * 60_000

let arena: Arena
let ids: string[]

beforeAll(async () => {
  arena = await Arena.start({ honest: 3 })
  ids = (await arena.statuses()).map(({ swarm }) => swarm?.id ?? '')
})
afterAll(() => arena[Symbol.asyncDispose]())

async function pullByAll(blob: TestBlob): Promise<void> {
  await arena.give(blob)
  const pulls = new WatchedPulls()
  await Promise.all(arena.fleet.agents.map((agent) => pulls.pull(arena.url(agent, blob, 'slow'), blob)))
  pulls.check(3)
}

function accuse(adversary: Adversary, proofs: readonly Uint8Array[]): void {
  const messages: WireMessage[] = proofs.map((proof) => ({ type: 'ban', proof }))
  for (const message of messages) for (const id of ids) adversary.protocol.send(id, message)
}

/** Again and again: a stream on which nonsense came is closed, with whatever came behind it. @returns the bans of all agents */
async function accuseUntilShutOut(adversary: Adversary, proofs: readonly Uint8Array[]): Promise<BanStatus[]> {
  let turn = 0
  return await vi.waitFor(
    async () => {
      accuse(
        adversary,
        proofs.filter((_, index) => index === turn % proofs.length),
      )
      turn += 1
      const bans = (await arena.bans()).map((all) => all.find(({ peer }) => peer === adversary.id))
      return bans.map((ban) => ban ?? raise('it is not shut out everywhere'))
    },
    { ...SOON, interval: 150 },
  )
}

function raise(message: string): never {
  throw new Error(message)
}

/** A false map of the blob, in the name of `signer` and signed by somebody else. */
async function forged(by: Adversary, signer: string, blob: TestBlob): Promise<Uint8Array> {
  const lie = mapOf(blob.digest, blob.bytes.length, falsified(blob, allChunks(blob)).hashes)
  const members = { self: signer, sign: (bytes: Uint8Array) => by.node.sign(bytes) }
  return (await signStatement(members, lie)).encoded
}

it('proofs that an honest peer did not sign shut out who shows them', async () => {
  const blob = blobOf('forged', CHUNKS)
  await pullByAll(blob)
  await using adversary = await arena.enter()
  const proofs = await Promise.all(ids.map((id) => forged(adversary, id, blob)))
  for (const ban of await accuseUntilShutOut(adversary, proofs)) expect(ban.reason).toBe('protocol')
  await arena.checkNoHonestBanned()
})

it('true statements of honest peers prove nothing, and shut out who shows them', async () => {
  await using adversary = await arena.enter()
  const statements: Uint8Array[] = []
  adversary.onMessage = (_peer, message) => {
    if (message.type === 'have' || message.type === 'more') statements.push(...message.statements)
  }
  const blobs = [1, 2, 3].map((turn) => blobOf(`true ${turn}`, CHUNKS))
  for (const blob of blobs) {
    await pullByAll(blob)
    const { digest } = blob
    for (const id of ids) adversary.protocol.send(id, { type: 'want', digest, registry: arena.live.registry })
  }
  await vi.waitUntil(() => statements.length >= 9, SOON)
  accuse(adversary, statements)
  for (const ban of await bansOf(arena, adversary.id, [0, 1, 2])) expect(ban.reason).toBe('protocol')
  await arena.checkNoHonestBanned()
})

it('a statement whose signature is cut or changed is none', async () => {
  const blob = blobOf('changed', CHUNKS)
  await pullByAll(blob)
  await using adversary = await arena.enter()
  const { payload, signature } = openEnvelope(await forged(adversary, adversary.id, blob))
  const changed = Buffer.from(signature)
  changed[0] = (changed[0] ?? 0) ^ 1
  const nothing = [encodeCanonical([payload, changed]), encodeCanonical([payload, signature.subarray(1)]), payload]
  for (const ban of await accuseUntilShutOut(adversary, nothing)) expect(ban.reason).toBe('protocol')
  await arena.checkNoHonestBanned()
})

it('proofs against a thousand peers that nobody has met push out no real ban, and cost no pull', async () => {
  const blob = blobOf('made up', CHUNKS)
  await pullByAll(blob)
  await using liar = await arena.enter()
  const other = blobOf('lied about', CHUNKS)
  const { hashes, bytes } = falsified(other, allChunks(other))
  await arena.give(other)
  await liar.offer({ blob: other, states: 'map', hashes, gives: gives(bytes) })
  const pulls = new WatchedPulls()
  await pulls.pull(arena.url(arena.fleet.at(1), other, 'slower'), other)
  pulls.check(1)
  await bansOf(arena, liar.id, [0, 1])

  await using adversary = await arena.enter()
  const lie = mapOf(blob.digest, blob.bytes.length, falsified(blob, [0]).hashes)
  const proofs: Uint8Array[] = []
  for (let turn = 0; turn < 1_000; turn++) {
    const identity = await ephemeralIdentity()
    const self = peerIdFromPrivateKey(identity).toString()
    proofs.push((await signStatement({ self, sign: async (bytes) => identity.sign(bytes) }, lie)).encoded)
  }
  accuse(adversary, proofs)
  const next = blobOf('meanwhile', CHUNKS)
  await pullByAll(next)
  await vi.waitFor(async () => expect((await arena.bans()).every((bans) => bans.length > 100)).toBe(true), SOON)
  for (const ban of await bansOf(arena, liar.id, [0, 1])) expect(ban.reason).toBe('false-map')
  await arena.checkNoHonestBanned()
})

it('an origin that corrupts what it sends to one agent gets nobody shut out for long', async () => {
  const blob = blobOf('corrupted', CHUNKS)
  await arena.give(blob)
  const corruption = arena.live.inject({
    fault: { kind: 'corrupt', at: CHUNK_BYTES + 5 },
    match: { method: 'GET', path: new RegExp(`/v2/corrupt/blobs/${blob.digest}`) },
    times: 1,
  })
  const pulls = new WatchedPulls()
  const url = arena.fleet.at(1).url(`/v2/corrupt/blobs/${blob.digest}`)
  await vi.waitFor(async () => expect(await pulls.pull(url, blob)).toBe(true), SOON)
  // a body that was cut has the origin's own word in it, but none that ended well
  expect(pulls.whole).toBe(1)
  await pulls.pull(arena.url(arena.fleet.at(2), blob, 'slow'), blob)
  expect(pulls.whole).toBe(2)
  expect(corruption.hits).toBe(1)
  const honest = (await arena.bans()).flat().filter(({ peer }) => ids.includes(peer))
  for (const { reason, since, until } of honest) {
    expect(reason).toBe('false-claim')
    expect(until - since).toBeLessThanOrEqual(TEN_MINUTES_MS)
  }
})
