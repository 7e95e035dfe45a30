import { describe, expect, it } from 'vitest'
import type { Identity } from '../../../src/blob/ports.ts'
import { SharedKnowledge } from '../../../src/blob/shared-knowledge.ts'
import { ShoalError } from '../../../src/errors.ts'
import { MemoryRepositoryIndex } from '../../fakes/memory-repository-index.ts'
import { blobDigest, REPOSITORY } from './manifest-world.ts'

const DIGEST = blobDigest('one')
const SEEN = { digest: DIGEST, mediaType: 'text/one', size: 1, at: 1_000 }
const SHARED = `agent-shared:${'a'.repeat(64)}`

function setUp(own: Identity = { key: 'anonymous', kind: 'anonymous' }, shareTags = true) {
  const repositories = new MemoryRepositoryIndex()
  const identity = (): Identity => own
  return { repositories, knowledge: new SharedKnowledge({ origin: { identity }, repositories }, { shareTags }) }
}

describe('SharedKnowledge', () => {
  it.each<[string, Identity]>([
    ['nobody', { key: 'anonymous', kind: 'anonymous' }],
    ['the agent itself', { key: 'agent:me', kind: 'agent' }],
    ['the agent by shared credentials', { key: SHARED, kind: 'agent-shared' }],
  ])('tells tags and links of repositories that the origin opened to %s', (_name, own) => {
    const { repositories, knowledge } = setUp(own)
    repositories.recordTag(REPOSITORY, 'v1', SEEN)
    repositories.link(REPOSITORY, [DIGEST])
    expect([knowledge.tag(REPOSITORY, 'v1'), knowledge.isLinked(REPOSITORY, DIGEST)]).toEqual([undefined, false])
    repositories.recordAdmission(REPOSITORY, own.key, 5)
    expect([knowledge.tag(REPOSITORY, 'v1'), knowledge.isLinked(REPOSITORY, DIGEST)]).toEqual([SEEN, true])
  })

  it('tells nothing of what a client’s own credentials opened', () => {
    const { repositories, knowledge } = setUp()
    repositories.recordTag(REPOSITORY, 'v1', SEEN)
    repositories.link(REPOSITORY, [DIGEST])
    repositories.recordAdmission(REPOSITORY, 'client:ann', 5)
    expect(knowledge.tag(REPOSITORY, 'v1')).toBeUndefined()
    expect(knowledge.isLinked(REPOSITORY, DIGEST)).toBe(false)
    expect(knowledge.admittedAt(REPOSITORY, ['client:ann'])).toBeUndefined()
  })

  it('tells admissions of nobody and of shared identities alone, the latest of those asked for', () => {
    const { repositories, knowledge } = setUp()
    repositories.recordAdmission(REPOSITORY, 'anonymous', 5)
    repositories.recordAdmission(REPOSITORY, SHARED, 7)
    for (const key of ['agent:me', 'client:ann', `${SHARED}b`]) repositories.recordAdmission(REPOSITORY, key, 9)
    expect(knowledge.admittedAt(REPOSITORY, ['anonymous', SHARED])).toBe(7)
    expect(knowledge.admittedAt(REPOSITORY, ['anonymous', 'agent:me', 'client:ann', `${SHARED}b`])).toBe(5)
    expect(knowledge.admittedAt(REPOSITORY, [])).toBeUndefined()
    expect(knowledge.admittedAt({ ...REPOSITORY, name: 'other' }, ['anonymous'])).toBeUndefined()
  })

  it('tells no tag when tags are not shared', () => {
    const { repositories, knowledge } = setUp(undefined, false)
    repositories.recordTag(REPOSITORY, 'v1', SEEN)
    repositories.recordAdmission(REPOSITORY, 'anonymous', 5)
    expect(knowledge.tag(REPOSITORY, 'v1')).toBeUndefined()
  })

  it.each([
    [{ registry: 'named.test', name: '' }, 'v1'],
    [{ registry: 'named.test', name: '.partial' }, 'v1'],
    [{ registry: 'NAMED.test', name: 'app' }, 'v1'],
    [{ registry: 'named.test/app', name: 'x' }, 'v1'],
    [{ registry: 'named.test', name: 'app' }, 'v1 peers'],
    [{ registry: 'named.test', name: 'app' }, DIGEST],
  ])('tells nothing of %j %s, which no client can name', (repository, tag) => {
    const { repositories, knowledge } = setUp()
    repositories.recordTag(repository, tag, SEEN)
    repositories.link(repository, [DIGEST])
    repositories.recordAdmission(repository, 'anonymous', 5)
    expect(knowledge.tag(repository, tag)).toBeUndefined()
    if (tag !== 'v1') return
    expect(knowledge.isLinked(repository, DIGEST)).toBe(false)
    expect(knowledge.admittedAt(repository, ['anonymous'])).toBeUndefined()
  })

  it('tells nothing of a registry that is not allowed here', () => {
    const repositories = new MemoryRepositoryIndex()
    const identity = (): never => {
      throw new ShoalError('REGISTRY_NOT_ALLOWED', 'no')
    }
    const knowledge = new SharedKnowledge({ origin: { identity }, repositories }, { shareTags: true })
    repositories.recordTag(REPOSITORY, 'v1', SEEN)
    repositories.recordAdmission(REPOSITORY, 'anonymous', 5)
    expect(knowledge.tag(REPOSITORY, 'v1')).toBeUndefined()
  })
})
