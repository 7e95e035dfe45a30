import { describe, expect, it } from 'vitest'
import { Access } from '../../../src/blob/access.ts'
import { noSwarm } from '../../../src/blob/no-swarm.ts'
import { Outages } from '../../../src/blob/outages.ts'
import { PeerKnowledge } from '../../../src/blob/peer-knowledge.ts'
import type { Identity, Origin, Scope } from '../../../src/blob/ports.ts'
import { ShoalError } from '../../../src/errors.ts'
import { parseDigest } from '../../../src/oci/digest.ts'
import { MemoryRepositoryIndex } from '../../fakes/memory-repository-index.ts'
import { silentLog } from '../../fakes/silent-log.ts'
import { codeOf, DAY_MS, manifestWorld } from './manifest-world.ts'

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
      outages: new Outages({ origin: { hasLiveMirror: () => false }, clock }, { patienceMs: 1_000 }),
      peers: new PeerKnowledge({ swarm: noSwarm, clock, log: silentLog }),
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

describe('an admission that peers remember', () => {
  const shared: Identity = { key: `agent-shared:${'a'.repeat(64)}`, kind: 'agent-shared' }
  const fresh = (own?: Identity) => {
    const world = manifestWorld()
    if (own !== undefined) world.origin.own = own
    world.origin.goDown()
    world.swarm.links.add(DIGEST)
    const ensure = (authorization?: string): Promise<unknown> =>
      world.access.ensure(world.access.principal(scopeOf('named.test', 'app', authorization)), DIGEST, 'blob', never)
    return { ...world, ensure }
  }

  it('of nobody stands in for everybody while the origin is out', async () => {
    const { ensure, swarm, now } = fresh()
    swarm.admissions.set('anonymous', now() - 5)
    expect(await ensure()).toBe('outage')
    expect(await ensure('ann')).toBe('outage')
  })

  it('of the agent’s credentials is asked about only under a key that all agents share', async () => {
    const { ensure, swarm, now } = fresh(shared)
    swarm.admissions.set(shared.key, now() - 5)
    expect(await ensure()).toBe('outage')
    expect(swarm.askedFor('admission')).toEqual([`admission anonymous ${shared.key}`])
    const local = fresh({ key: 'agent:me', kind: 'agent' })
    local.swarm.admissions.set('agent:me', local.now())
    expect(await codeOf(local.ensure())).toBe('ORIGIN_UNAVAILABLE')
    expect(local.swarm.askedFor('admission')).toEqual(['admission anonymous'])
  })

  it('of the agent’s credentials is nothing to a client with its own, about which nobody is asked', async () => {
    const { ensure, swarm, now } = fresh(shared)
    swarm.admissions.set(shared.key, now()).set('client:ann', now())
    expect(await ensure()).toBe('outage')
    expect(await codeOf(ensure('ann'))).toBe('ORIGIN_UNAVAILABLE')
    expect(swarm.asked.join()).not.toContain('ann')
  })

  it('does not undo a later refusal by the origin, but a later one does', async () => {
    const { ensure, swarm, origin, now, pass } = fresh(shared)
    const before = now()
    pass(1_000)
    origin.error = new ShoalError('DENIED', 'no')
    expect(await codeOf(ensure())).toBe('DENIED')
    origin.goDown()
    swarm.admissions.set(shared.key, before)
    expect(await codeOf(ensure())).toBe('ORIGIN_UNAVAILABLE')
    pass(20_000)
    swarm.admissions.set(shared.key, now())
    expect(await ensure()).toBe('outage')
  })

  it('ends with its age', async () => {
    const { ensure, swarm, now, pass } = fresh()
    swarm.admissions.set('anonymous', now())
    expect(await ensure()).toBe('outage')
    pass(DAY_MS + 1)
    swarm.admissions.clear()
    expect(await codeOf(ensure())).toBe('ORIGIN_UNAVAILABLE')
  })

  it('is not enough for a digest that nobody knows to be in the repository', async () => {
    const { ensure, swarm, now } = fresh()
    swarm.admissions.set('anonymous', now())
    swarm.links.clear()
    expect(await codeOf(ensure())).toBe('ORIGIN_UNAVAILABLE')
  })

  it('is never told on, nor counts when the origin can be asked', async () => {
    const { ensure, swarm, origin, now, pass, knowledge, access } = fresh()
    swarm.admissions.set('anonymous', now())
    expect(await ensure()).toBe('outage')
    expect(knowledge.admittedAt({ registry: 'named.test', name: 'app' }, ['anonymous'])).toBeUndefined()
    expect(knowledge.isLinked({ registry: 'named.test', name: 'app' }, DIGEST)).toBe(false)
    expect(access.isKnown(access.principal(scopeOf('named.test')), DIGEST)).toBe(false)
    pass(20_000)
    origin.error = new ShoalError('UNAUTHORIZED', 'no')
    expect(await codeOf(ensure())).toBe('UNAUTHORIZED')
    origin.goDown()
    expect(await codeOf(ensure())).toBe('ORIGIN_UNAVAILABLE')
  })

  it('is asked for once in a flapping outage', async () => {
    const { ensure, swarm, origin, now, pass } = fresh()
    swarm.admissions.set('anonymous', now())
    for (let round = 0; round < 10; round += 1) {
      expect(await ensure()).toBe('outage')
      origin.error = undefined
      pass(16_000)
      expect(await ensure()).toBe('fresh')
      origin.goDown()
      pass(2_000)
    }
    expect(swarm.askedFor('admission')).toHaveLength(1)
  })
})
