import { encode } from 'cborg'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hasCode } from '../../../../src/errors.ts'
import { digestFromBytes } from '../../../../src/swarm/encoding/digest-bytes.ts'
import {
  decodeMessage,
  encodeMessage,
  MAX_INDEXES,
  MAX_LEASE_CHUNKS,
  type WireMessage,
} from '../../../../src/swarm/protocol/wire-messages.ts'

const key = {
  digest: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(digestFromBytes),
  registry: fc.string({ minLength: 1, maxLength: 60 }),
}
const bytes = fc.uint8Array({ maxLength: 100 })
const statements = fc.array(bytes, { maxLength: 4 })
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
const ranges = fc.array(
  fc.tuple(fc.nat({ max: 100 }), fc.nat({ max: 27 })).map(([from, length]) => ({ from, to: from + length + 1 })),
  { maxLength: 8 },
)
const lease = {
  type: 'lease' as const,
  size: 128 * 256 * 1024,
  gaps: [{ from: 0, to: 128 }],
  fetching: [],
  most: 8,
  heard: 0,
  leaves: false,
}
const message: fc.Arbitrary<WireMessage> = fc.oneof(
  fc.record({
    ...key,
    type: fc.constant('lease' as const),
    size: fc.constant(lease.size),
    gaps: ranges,
    fetching: ranges,
    most: fc.nat({ max: MAX_LEASE_CHUNKS }),
    heard: fc.nat(),
    leaves: fc.boolean(),
  }),
  fc.record({
    ...key,
    type: fc.constant('leased' as const),
    ranges,
    forMs: fc.nat({ max: 60_000 }),
    members: fc.nat(),
    serial: fc.nat(),
    nearer: fc.array(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 3 }),
  }),
  fc.record({ ...key, type: fc.constantFrom('want' as const, 'unwant' as const, 'none' as const) }),
  fc.record({
    ...key,
    type: fc.constant('have' as const),
    statements,
    size: fc.nat({ max: 1024 * 1024 }),
    bits: optional(fc.constant(new Uint8Array(1))),
  }),
  fc.record({
    ...key,
    type: fc.constant('more' as const),
    statements,
    indexes: fc.array(fc.nat({ max: 1000 }), { maxLength: 50 }),
  }),
  fc.record({
    ...key,
    type: fc.constant('others' as const),
    peers: fc.array(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 16 }),
  }),
  fc.record({
    ...key,
    type: fc.constant('holders' as const),
    peers: fc.array(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 4 }),
  }),
  fc.record({ type: fc.constant('here' as const), digest: key.digest }),
  fc.record({ type: fc.constant('ban' as const), proof: bytes }),
  fc.record({
    type: fc.constant('ask' as const),
    id: fc.nat(),
    registry: fc.constant('r'),
    repository: fc.constant('a/b'),
    tag: optional(fc.constant('latest')),
    digest: optional(key.digest),
    identities: fc.constant(['anonymous']),
  }),
  fc.record({
    type: fc.constant('told' as const),
    id: fc.nat(),
    record: optional(bytes),
    admittedAt: optional(fc.nat()),
    isLinked: fc.boolean(),
  }),
)

function refusal(bytes: Uint8Array): unknown {
  try {
    return decodeMessage(bytes)
  } catch (error) {
    return error
  }
}

describe('messages of the swarm protocol', () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(message, (message) => {
        expect(decodeMessage(encodeMessage(message))).toEqual(message)
      }),
    )
  })

  it('about leases are refused when they are about more chunks than there are, or too many', () => {
    const digest = digestFromBytes(new Uint8Array(32))
    const ask = { ...lease, digest, registry: 'r' }
    expect(refusal(encodeMessage(ask))).toEqual(ask)
    const many = (count: number) => Array.from({ length: count }, (_, at) => ({ from: at, to: at + 1 }))
    const bad: WireMessage[] = [
      { ...ask, gaps: [{ from: 0, to: 129 }] },
      { ...ask, fetching: [{ from: 128, to: 129 }] },
      { ...ask, gaps: [{ from: 3, to: 3 }] },
      { ...ask, gaps: [{ from: -1, to: 3 }] },
      { ...ask, gaps: many(65) },
      { ...ask, size: Number.MAX_SAFE_INTEGER },
      { ...ask, most: MAX_LEASE_CHUNKS + 1 },
      {
        type: 'leased',
        digest,
        registry: 'r',
        ranges: [{ from: 0, to: MAX_LEASE_CHUNKS + 1 }],
        forMs: 1,
        members: 1,
        serial: 1,
        nearer: [],
      },
      { type: 'leased', digest, registry: 'r', ranges: [], forMs: 1e9, members: 1, serial: 1, nearer: [] },
      {
        type: 'leased',
        digest,
        registry: 'r',
        ranges: [],
        forMs: 1,
        members: 1,
        serial: 1,
        nearer: ['a', 'b', 'c', 'd'],
      },
    ]
    for (const message of bad) expect(hasCode(refusal(encodeMessage(message)), 'PEER_MISBEHAVED')).toBe(true)
  })

  it('are refused with one kind of error, whatever the bytes', () => {
    const mutated = fc.tuple(message, fc.nat(), fc.nat({ max: 255 })).map(([message, at, value]) => {
      const bytes = encodeMessage(message).slice()
      bytes[at % bytes.length] = value
      return bytes
    })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated), (bytes) => {
        const got = refusal(bytes)
        expect(!(got instanceof Error) || hasCode(got, 'PEER_MISBEHAVED')).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  const want = { type: 'want', digest: new Uint8Array(32), registry: 'r' }
  it('is read in the form that the refused ones differ from', () => {
    expect(decodeMessage(encode(want))).toMatchObject({ type: 'want' })
  })

  const nested = (depth: number): Uint8Array => Uint8Array.from([...Array(depth).fill(0x81), 0x00])
  const bad: [string, Uint8Array][] = [
    ['nothing', new Uint8Array()],
    ['an unknown type', encode({ ...want, type: 'gimme' })],
    ['a field more', encode({ ...want, more: 1 })],
    ['a digest that is too long', encode({ ...want, digest: new Uint8Array(33) })],
    ['a digest as text', encode({ ...want, digest: 'sha256:00' })],
    ['too many indexes', encode({ ...want, type: 'more', statements: [], indexes: Array(MAX_INDEXES + 1).fill(1) })],
    ['an index that is no integer', encode({ ...want, type: 'more', statements: [], indexes: [0.5] })],
    ['a bitmap of another size', encode({ ...want, type: 'have', statements: [], size: 5, bits: new Uint8Array(2) })],
    ['a size that takes much memory', encode({ ...want, type: 'have', statements: [], size: 2 ** 50 })],
    ['null', encode({ ...want, registry: null })],
    ['a message after the message', Buffer.concat([encode(want), encode(want)])],
    ['deep nesting', nested(1_000_000)],
    ['an array that says it is enormous', Uint8Array.from([0x9a, 0xff, 0xff, 0xff, 0xff])],
    ['a million small things', Buffer.concat([Uint8Array.from([0x9a, 0, 0x0f, 0x42, 0x40]), Buffer.alloc(1_000_000)])],
    ['an indefinite length', Uint8Array.from([0xbf, 0xff])],
    ['the same key twice', Uint8Array.from([0xa2, 0x61, 0x61, 0x01, 0x61, 0x61, 0x01])],
    ['a tag', Uint8Array.from([0xc1, 0x01])],
  ]
  it.each(bad)('is refused when it is or has %s', (_what, bytes) => {
    expect(refusal(bytes)).toMatchObject({ code: 'PEER_MISBEHAVED' })
  })
})
