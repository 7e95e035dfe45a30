import pino from 'pino'
import { expect, it } from 'vitest'
import type { SharedBlob } from '../../../../src/blob/ports.ts'
import { WantDesk } from '../../../../src/swarm/exchange/want-desk.ts'
import { MAX_OTHERS, MAX_TOLD, type WireMessage } from '../../../../src/swarm/protocol/wire-messages.ts'
import { TestBlob } from '../../../fakes/fake-content.ts'

/** Of one chunk: nobody's word is needed for it. */
const blob = new TestBlob(Buffer.alloc(1_000, 7))
const key = { digest: blob.digest, registry: 'r' }

function deskWith(view: SharedBlob | undefined) {
  const told: [string, WireMessage][] = []
  const desk = new WantDesk({
    self: 'me',
    content: { find: () => view },
    statements: {
      knownMap: () => undefined,
      knownClaims: () => [],
      map: () => Promise.resolve(undefined),
      claims: () => Promise.resolve([]),
    },
    send: (peer, message) => told.push([peer, message]) > 0,
    hasHeard: () => false,
    hasChunk: () => false,
    asksMany: () => false,
    holders: () => [],
    log: pino({ level: 'silent' }),
  })
  const namesTo = (peer: string): readonly string[] =>
    told.flatMap(([to, message]) => (to === peer && message.type === 'others' ? message.peers : []))
  const typesTo = (peer: string): readonly string[] => told.filter(([to]) => to === peer).map(([, { type }]) => type)
  return { desk, namesTo, typesTo }
}

it('tells a bounded number of peers, and names others to those that it turns away', async () => {
  const { desk, namesTo, typesTo } = deskWith(undefined)
  for (let at = 0; at < MAX_TOLD; at++) expect(desk.want(`p${at}`, key)).toBe(true)
  expect(desk.want('late', key)).toBe(false)
  expect(typesTo('late')).toEqual(['others', 'full'])
  expect(namesTo('late')).toHaveLength(MAX_OTHERS)
  expect(desk.size).toBe(MAX_TOLD)
  // who is told already may ask again
  expect(desk.want('p0', key)).toBe(true)
  // who asks in many names takes no place of others
  expect(desk.want('many names', { ...key, registry: 's' })).toBe(true)

  desk.unwant('p1', key)
  expect(desk.want('later', key)).toBe(true)
  for (let at = 0; at < 200; at++) desk.want(`more ${at}`, key)
  const isNamed = (): boolean => {
    desk.want('curious', key)
    return namesTo('curious').some((peer) => peer.startsWith('more'))
  }
  await expect.poll(isNamed).toBe(true)
})

it('forgets who was turned away when it is gone, and when nobody is told any more', () => {
  const { desk, namesTo } = deskWith(undefined)
  for (let at = 0; at < MAX_TOLD; at++) desk.want(`p${at}`, key)
  desk.want('gone', key)
  desk.drop('gone')
  for (let at = 0; at < 50; at++) desk.want('curious', key)
  expect(namesTo('curious')).not.toContain('gone')
  for (let at = 0; at < MAX_TOLD; at++) desk.drop(`p${at}`)
  desk.want('next', key)
  expect(namesTo('next')).toEqual([])
})

it('turns nobody away when all is here: there will be no news', () => {
  const { desk, typesTo } = deskWith({
    digest: blob.digest,
    size: blob.bytes.length,
    isComplete: true,
    has: () => true,
    statements: [],
    claims: new Map(),
  })
  for (let at = 0; at < 2 * MAX_TOLD; at++) expect(desk.want(`p${at}`, key)).toBe(true)
  expect(typesTo(`p${2 * MAX_TOLD - 1}`)).toEqual(['others', 'have'])
})
