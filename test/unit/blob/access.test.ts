import { describe, expect, it } from 'vitest'
import { Access } from '../../../src/blob/access.ts'
import { noSwarm } from '../../../src/blob/no-swarm.ts'
import { Outages } from '../../../src/blob/outages.ts'
import { PeerKnowledge } from '../../../src/blob/peer-knowledge.ts'
import type { Origin, Scope } from '../../../src/blob/ports.ts'
import { ShoalError } from '../../../src/errors.ts'
import { parseDigest } from '../../../src/oci/digest.ts'
import { MemoryRepositoryIndex } from '../../fakes/memory-repository-index.ts'
import { silentLog } from '../../fakes/silent-log.ts'

const DIGEST = parseDigest(`sha256:${'a'.repeat(64)}`)
const never = { signal: new AbortController().signal }

function scopeOf(registry: string, name = 'app', authorization?: string): Scope {
  return { repository: { registry, name }, authorization }
}

class FakeOrigin implements Pick<Origin, 'identity' | 'checkBlob'> {
  asked = 0
  error: ShoalError | undefined

  identity({ authorization }: Scope): ReturnType<Origin['identity']> {
    if (authorization === undefined) return { key: 'anonymous', kind: 'anonymous' }
    return { key: `client:${authorization}`, kind: 'client' }
  }

  async checkBlob(): Promise<number> {
    this.asked += 1
    if (this.error !== undefined) throw this.error
    return 1
  }
}

function setUp() {
  let now = 1_000_000
  const clock = (): number => now
  const origin = new FakeOrigin()
  const access = new Access(
    {
      origin: origin as unknown as Origin,
      repositories: new MemoryRepositoryIndex(),
      outages: new Outages({ clock }, { patienceMs: 1_000 }),
      peers: new PeerKnowledge({ swarm: noSwarm, log: silentLog }),
      clock,
      log: silentLog,
    },
    { rememberMs: 1_000, outageMs: 60_000, trusted: new Set(['named.test']) },
  )
  const pass = (ms: number): void => {
    now += ms
  }
  return { access, origin, pass }
}

describe('Access', () => {
  it('believes a registry that nobody named only about bytes it has sent', () => {
    const { access } = setUp()
    const principal = access.principal(scopeOf('anybody.test'))
    access.answered(principal, DIGEST)
    expect(access.isKnown(principal, DIGEST)).toBe(false)
    access.served('anybody.test', DIGEST)
    expect(access.isKnown(principal, DIGEST)).toBe(true)
    expect(access.mayVouch('other.test', DIGEST)).toBe(false)
  })

  it('believes a registry that the operator named', () => {
    const { access } = setUp()
    const principal = access.principal(scopeOf('named.test'))
    access.answered(principal, DIGEST)
    expect(access.isKnown(principal, DIGEST)).toBe(true)
  })

  it('asks for each repository, and remembers the answer for its time', async () => {
    const { access, origin, pass } = setUp()
    const principal = access.principal(scopeOf('named.test'))
    await access.ensure(principal, DIGEST, 'blob', never)
    await access.ensure(principal, DIGEST, 'blob', never)
    expect(origin.asked).toBe(1)
    await access.ensure(access.principal(scopeOf('named.test', 'other')), DIGEST, 'blob', never)
    expect(origin.asked).toBe(2)
    pass(1_001)
    await access.ensure(principal, DIGEST, 'blob', never)
    expect(origin.asked).toBe(3)
  })

  it('gives one client nothing on another one’s word, but everybody what anybody may have', () => {
    const { access } = setUp()
    const ann = access.principal(scopeOf('named.test', 'app', 'ann'))
    const bob = access.principal(scopeOf('named.test', 'app', 'bob'))
    access.answered(ann, DIGEST)
    expect([access.isKnown(ann, DIGEST), access.isKnown(bob, DIGEST)]).toEqual([true, false])
    access.answered(access.principal(scopeOf('named.test')), DIGEST)
    expect(access.isKnown(bob, DIGEST)).toBe(true)
  })

  it('lets an earlier admission stand in for an origin that is out, until it is too old', async () => {
    const { access, origin, pass } = setUp()
    const principal = access.principal(scopeOf('named.test'))
    await access.ensure(principal, DIGEST, 'blob', never)
    origin.error = new ShoalError('ORIGIN_UNAVAILABLE', 'down')
    pass(30_000)
    expect(await access.ensure(principal, DIGEST, 'blob', never)).toBe('outage')
    pass(60_000)
    await expect(access.ensure(principal, DIGEST, 'blob', never)).rejects.toMatchObject({ code: 'ORIGIN_UNAVAILABLE' })
  })

  it('forgets an admission when the origin refuses', async () => {
    const { access, origin, pass } = setUp()
    const principal = access.principal(scopeOf('named.test', 'app', 'ann'))
    await access.ensure(principal, DIGEST, 'blob', never)
    pass(2_000)
    origin.error = new ShoalError('DENIED', 'no')
    await expect(access.ensure(principal, DIGEST, 'blob', never)).rejects.toMatchObject({ code: 'DENIED' })
    expect(access.isAdmittedInOutage(principal)).toBe(false)
  })
})
