import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hasCode } from '../../../../src/errors.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { readTagRecord, signTagRecord, tagKey } from '../../../../src/swarm/trust/tag-record.ts'
import { FakeSwarm } from '../../../fakes/fake-members.ts'

const repository = { registry: 'registry.example', name: 'team/app' }
const digest = digestOf('sha256', createHash('sha256').update('manifest').digest('hex'))
const seen = { digest, mediaType: 'application/vnd.oci.image.manifest.v1+json', size: 1234, at: 1_000_000 }
const members = new FakeSwarm().agent()
const expected = { repository, tag: 'v1', signer: members.self, now: 1_000_000 }

describe('tag records', () => {
  it('say what their signer saw', async () => {
    const record = await signTagRecord(members, repository, 'v1', seen)
    expect(await readTagRecord(members, record, expected)).toEqual(seen)
  })

  it('have a key of their own for each tag of each repository', () => {
    const keys = [
      tagKey(repository, 'v1'),
      tagKey(repository, 'v2'),
      tagKey({ ...repository, name: 'team/other' }, 'v1'),
      tagKey({ ...repository, registry: 'other.example' }, 'v1'),
    ]
    expect(new Set(keys).size).toBe(keys.length)
    expect(tagKey({ ...repository }, 'v1')).toBe(keys[0])
  })

  it.each([
    ['another tag', { tag: 'v2' }],
    ['another repository', { repository: { registry: 'registry.example', name: 'team/other' } }],
    ['another registry', { repository: { registry: 'other.example', name: 'team/app' } }],
    ['another signer', { signer: 'somebody' }],
  ])('are refused when they are of %s than was asked for', async (_what, change) => {
    const record = await signTagRecord(members, repository, 'v1', seen)
    await expect(readTagRecord(members, record, { ...expected, ...change })).rejects.toMatchObject({
      code: 'PEER_MISBEHAVED',
    })
  })

  it('are left alone when they are from the future', async () => {
    const record = await signTagRecord(members, repository, 'v1', seen)
    expect(await readTagRecord(members, record, { ...expected, now: 1_000_000 - 5 * 60_000 - 1 })).toBeUndefined()
  })

  it('are believed when their clock is ahead a little', async () => {
    const record = await signTagRecord(members, repository, 'v1', seen)
    expect(await readTagRecord(members, record, { ...expected, now: 1_000_000 - 60_000 })).toEqual(seen)
  })

  it.each(['text/html\r\nx: y', 'nothing', ''])('are refused with the media type %j', async (mediaType) => {
    const record = await signTagRecord(members, repository, 'v1', { ...seen, mediaType })
    await expect(readTagRecord(members, record, expected)).rejects.toMatchObject({ code: 'PEER_MISBEHAVED' })
  })

  it('are never accepted when any byte of them is another', async () => {
    const record = await signTagRecord(members, repository, 'v1', seen)
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: record.length - 1 }), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const bytes = record.slice()
        bytes[at] = (bytes[at] ?? 0) ^ flip
        const error: unknown = await readTagRecord(members, bytes, expected).catch((error: unknown) => error)
        expect(hasCode(error, 'PEER_MISBEHAVED')).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})
