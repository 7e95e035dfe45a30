import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { planChunks } from '../../../src/blob/chunk-plan.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import {
  encodeLogHeader,
  encodeLogRecord,
  LOG_HEADER_BYTES,
  LOG_RECORD_BYTES,
  parseChunkLog,
} from '../../../src/store/chunk-log.ts'

const hex64 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'))
const DIGEST = digestOf('sha256', 'ab'.repeat(32))
const SIZE = 100 * 1024 * 1024
const { count } = planChunks(SIZE)
const records = fc.array(fc.tuple(fc.nat({ max: count - 1 }), hex64), { maxLength: 20 })

function logOf(entries: readonly (readonly [index: number, hash: string, isSure?: boolean])[], size = SIZE): Buffer {
  const header = encodeLogHeader(DIGEST, size)
  return Buffer.concat([
    header,
    ...entries.map(([index, hash, isSure = true]) => encodeLogRecord(header, index, hash, { isSure })),
  ])
}

describe('a chunk log', () => {
  it('claims what was recorded, the last hash of each chunk', () => {
    fc.assert(
      fc.property(records, (entries) => {
        const parsed = parseChunkLog(logOf(entries))
        expect(parsed).toMatchObject({ digest: DIGEST, size: SIZE })
        expect(parsed?.claimed).toEqual(new Map(entries))
      }),
    )
  })

  it('tells which chunks rest on the word of one peer, by the last record of each', () => {
    const flagged = fc.array(fc.tuple(fc.nat({ max: 5 }), hex64, fc.boolean()), { maxLength: 20 })
    fc.assert(
      fc.property(flagged, (entries) => {
        const parsed = parseChunkLog(logOf(entries))
        const sure = new Map(entries.map(([index, , isSure]) => [index, isSure]))
        expect(parsed?.claimed).toEqual(new Map(entries.map(([index, hash]) => [index, hash])))
        expect([...(parsed?.unsure ?? [])].toSorted((a, b) => a - b)).toEqual(
          [...sure]
            .filter(([, isSure]) => !isSure)
            .map(([index]) => index)
            .toSorted((a, b) => a - b),
        )
      }),
    )
  })

  it('loses only the record that was torn off', () => {
    fc.assert(
      fc.property(records, fc.nat(), (entries, at) => {
        const whole = logOf(entries)
        const kept = LOG_HEADER_BYTES + (at % (whole.length - LOG_HEADER_BYTES + 1))
        const good = Math.floor((kept - LOG_HEADER_BYTES) / LOG_RECORD_BYTES)
        const parsed = parseChunkLog(whole.subarray(0, kept))
        expect(parsed?.claimed).toEqual(new Map(entries.slice(0, good)))
        expect(parsed?.length).toBe(LOG_HEADER_BYTES + good * LOG_RECORD_BYTES)
      }),
    )
  })

  it('loses only the record that is damaged', () => {
    const distinct = fc.uniqueArray(fc.tuple(fc.nat({ max: count - 1 }), hex64), {
      minLength: 1,
      maxLength: 20,
      selector: ([index]) => index,
    })
    fc.assert(
      fc.property(distinct, fc.nat(), fc.integer({ min: 1, max: 255 }), (entries, at, flip) => {
        const log = logOf(entries)
        const position = LOG_HEADER_BYTES + (at % (log.length - LOG_HEADER_BYTES))
        log[position] = (log[position] ?? 0) ^ flip
        const damaged = Math.floor((position - LOG_HEADER_BYTES) / LOG_RECORD_BYTES)
        expect(parseChunkLog(log)?.claimed).toEqual(new Map(entries.filter((_, number) => number !== damaged)))
      }),
    )
  })

  it('is no log of ours when any byte of its header is damaged', () => {
    for (let at = 0; at < LOG_HEADER_BYTES; at += 1) {
      const log = logOf([[0, 'cd'.repeat(32)]])
      log[at] = (log[at] ?? 0) ^ 1
      expect(parseChunkLog(log)).toBeUndefined()
    }
  })

  it('does not take a record of another log, nor one of a chunk that the blob does not have', () => {
    const foreign = encodeLogRecord(encodeLogHeader(DIGEST, SIZE + 1), 0, 'cd'.repeat(32), { isSure: true })
    expect(parseChunkLog(Buffer.concat([logOf([]), foreign]))?.claimed.size).toBe(0)
    expect(parseChunkLog(logOf([[count, 'cd'.repeat(32)]]))?.claimed.size).toBe(0)
  })

  it('makes nothing of arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(parseChunkLog(Buffer.from(bytes))).toBeUndefined()
      }),
    )
  })
})
