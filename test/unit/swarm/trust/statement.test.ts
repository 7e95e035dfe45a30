import { createHash } from 'node:crypto'
import { encode } from 'cborg'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { planChunks } from '../../../../src/blob/chunk-plan.ts'
import { hasCode } from '../../../../src/errors.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import {
  contradicts,
  mapOf,
  parseStatement,
  signStatement,
  verifyStatement,
} from '../../../../src/swarm/trust/statement.ts'
import { StatementDesk } from '../../../../src/swarm/trust/statement-desk.ts'
import { FakeSwarm } from '../../../fakes/fake-members.ts'

const hex = (text: string): string => createHash('sha256').update(text).digest('hex')
const DIGEST = digestOf('sha256', hex('blob'))
const SIZE = 10 * 256 * 1024 + 5
const HASHES = Array.from({ length: planChunks(SIZE).count }, (_, index) => hex(`chunk ${index}`))

const members = new FakeSwarm().agent()
const desk = new StatementDesk({ members, clock: Date.now })
const read = async (encoded: Uint8Array) => verifyStatement(members, parseStatement(encoded))

describe('statements about chunks', () => {
  it('reads a map as it was signed', async () => {
    const signed = await signStatement(members, mapOf(DIGEST, SIZE, HASHES))
    const got = await read(signed.encoded)
    expect(got).toEqual(signed)
    expect([...got.hashes]).toEqual([...HASHES.entries()])
    expect(got.signer).toBe(members.self)
  })

  it('reads claims of any chunks as they were signed', async () => {
    const claims = fc.uniqueArray(fc.nat({ max: HASHES.length - 1 }), { minLength: 1 })
    await fc.assert(
      fc.asyncProperty(claims, async (indexes) => {
        const hashes = new Map(indexes.map((index) => [index, HASHES[index] ?? '']))
        const signed = await signStatement(members, { kind: 'claim', digest: DIGEST, size: SIZE, hashes })
        expect(await read(signed.encoded)).toEqual(signed)
      }),
      { numRuns: 50 },
    )
  })

  it('accepts no mutation of a statement, and says so with one kind of error', async () => {
    const { encoded } = await signStatement(members, mapOf(DIGEST, SIZE, HASHES))
    const mutation = fc.record({
      at: fc.nat({ max: encoded.length - 1 }),
      value: fc.nat({ max: 255 }),
      how: fc.constantFrom('set', 'insert', 'remove', 'cut'),
    })
    await fc.assert(
      fc.asyncProperty(mutation, async ({ at, value, how }) => {
        const bytes = [...encoded]
        if (how === 'set') bytes[at] = value
        else if (how === 'insert') bytes.splice(at, 0, value)
        else if (how === 'remove') bytes.splice(at, 1)
        else bytes.length = at
        if (Buffer.compare(Buffer.from(bytes), encoded) === 0) return
        const error: unknown = await read(Uint8Array.from(bytes)).catch((error: unknown) => error)
        expect(hasCode(error, 'PEER_MISBEHAVED')).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  it('never throws anything else, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => parseStatement(bytes)).toThrow(expect.objectContaining({ code: 'PEER_MISBEHAVED' }))
      }),
    )
  })

  const payload = { v: 1, k: 'map', d: Buffer.alloc(32), n: 5, s: 'somebody', h: Buffer.alloc(32) }
  const bad: [why: string, payload: unknown][] = [
    ['of another version', { ...payload, v: 2 }],
    ['with a field more', { ...payload, x: 1 }],
    ['with too few hashes for its size', { ...payload, n: SIZE }],
    ['with part of a hash', { ...payload, h: Buffer.alloc(33) }],
    ['with a size that is no size', { ...payload, n: -1 }],
    ['with a size in fractions', { ...payload, n: 1.5 }],
    ['of an enormous blob', { ...payload, n: Number.MAX_SAFE_INTEGER }],
    ['that is a map with indexes', { ...payload, i: [0] }],
    ['that is a claim without indexes', { ...payload, k: 'claim' }],
    ['about a chunk beyond the end', { ...payload, k: 'claim', i: [1] }],
    ['about one chunk twice', { ...payload, k: 'claim', n: SIZE, i: [1, 1], h: Buffer.alloc(64) }],
    ['with indexes out of order', { ...payload, k: 'claim', n: SIZE, i: [2, 1], h: Buffer.alloc(64) }],
    ['with a digest that is too short', { ...payload, d: Buffer.alloc(31) }],
  ]
  it.each(bad)('refuses a statement %s', (_why, payload) => {
    expect(() => parseStatement(encode([encode(payload), Buffer.alloc(64)]))).toThrow(
      expect.objectContaining({ code: 'PEER_MISBEHAVED' }),
    )
  })

  it('reads the form that the refused ones differ from', () => {
    expect(parseStatement(encode([encode(payload), Buffer.alloc(64)])).statement.signer).toBe('somebody')
  })

  it('verifies what many peers pass on once', async () => {
    const { encoded } = await signStatement(members, mapOf(DIGEST, SIZE, HASHES))
    const before = members.verifications
    const all = await Promise.all(Array.from({ length: 20 }, () => desk.verify(Uint8Array.from(encoded))))
    expect(new Set(all).size).toBe(1)
    expect(await desk.verify(encoded)).toBe(all[0])
    expect(members.verifications).toBe(before + 1)
  })

  it('remembers nothing of a statement that was not signed by its signer', async () => {
    const stranger = new FakeSwarm().agent()
    const { encoded } = await signStatement(stranger, mapOf(DIGEST, SIZE, HASHES))
    await expect(desk.verify(encoded)).rejects.toMatchObject({ code: 'PEER_MISBEHAVED' })
    await expect(desk.verify(encoded)).rejects.toMatchObject({ code: 'PEER_MISBEHAVED' })
    expect(desk.known(encoded)).toBeUndefined()
  })

  it('tells whether a statement contradicts the true hashes', async () => {
    const map = await signStatement(members, mapOf(DIGEST, SIZE, HASHES))
    expect(contradicts(map, HASHES)).toBe(false)
    expect(contradicts(map, HASHES.with(3, hex('other')))).toBe(true)
    expect(contradicts(map, HASHES.slice(1))).toBe(true)
    const hashes = new Map([[2, HASHES[2] ?? '']])
    const claim = await signStatement(members, { kind: 'claim', digest: DIGEST, size: SIZE, hashes })
    expect(contradicts(claim, HASHES.with(3, hex('other')))).toBe(false)
    expect(contradicts(claim, HASHES.with(2, hex('other')))).toBe(true)
  })
})
