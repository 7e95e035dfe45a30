import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameReader, frame } from '../../../../src/swarm/encoding/frames.ts'

describe('frames', () => {
  it('come out whole however the bytes are cut', () => {
    const payloads = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 10 })
    fc.assert(
      fc.property(payloads, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (payloads, cuts) => {
        const bytes = Buffer.concat(payloads.map(frame))
        const reader = new FrameReader({ maxBytes: 50 })
        const got: Uint8Array[] = []
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const end = at + (cuts[turn % cuts.length] ?? 1)
          got.push(...reader.push(bytes.subarray(at, end)))
          at = end
        }
        expect(got).toEqual(payloads.map((payload) => Uint8Array.from(payload)))
        expect(reader.pendingBytes).toBe(0)
      }),
    )
  })

  it('are refused by their length alone', () => {
    const reader = new FrameReader({ maxBytes: 50 })
    expect(() => reader.push(Uint8Array.from([0, 0, 0, 51]))).toThrow(
      expect.objectContaining({ code: 'PEER_MISBEHAVED' }),
    )
  })

  it('do not share memory with what comes later', () => {
    const reader = new FrameReader({ maxBytes: 50 })
    const bytes = Buffer.concat([frame(Uint8Array.from([1, 2, 3])), frame(Uint8Array.from([4]))])
    reader.push(bytes.subarray(0, 5))
    const [first] = reader.push(bytes.subarray(5, 8))
    reader.push(bytes.subarray(8))
    expect(first).toEqual(Uint8Array.from([1, 2, 3]))
  })
})
