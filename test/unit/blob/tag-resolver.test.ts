import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ShoalError } from '../../../src/errors.ts'
import { codeOf, DAY_MS, image, manifestWorld, never, REPOSITORY, scopeOf } from './manifest-world.ts'

const OLD = image(['layer'], { note: 'old' })
const NEW = image(['layer'], { note: 'new' })

/** An agent that saw OLD under v1 a minute ago, and whose origin is out now; all blobs are with peers. */
async function agentThatSawOld(init: Parameters<typeof manifestWorld>[0] = {}) {
  const world = manifestWorld(init)
  world.publish(OLD, 'v1')
  await world.manifests.get(scopeOf(), { tag: 'v1' }, never)
  world.pass(60_000)
  world.origin.goDown()
  world.share(OLD, ['layer'])
  const digestOfTag = async (): Promise<string> => (await world.manifests.head(scopeOf(), { tag: 'v1' }, never)).digest
  return { ...world, digestOfTag }
}

describe('a tag without its origin', () => {
  it('is what peers saw when that is newer than what was seen here', async () => {
    const { digestOfTag, share, now } = await agentThatSawOld()
    share(NEW, [], { tag: 'v1', at: now() - 30_000 })
    expect(await digestOfTag()).toBe(NEW.digest)
  })

  it.each([
    ['older', -120_000],
    ['from the future', 6 * 60_000],
    ['not a time', Number.NaN],
  ])('is what was seen here when the record of peers is %s', async (_name, offset) => {
    const { digestOfTag, share, now } = await agentThatSawOld()
    share(NEW, [], { tag: 'v1', at: now() + offset })
    expect(await digestOfTag()).toBe(OLD.digest)
  })

  it('seen by peers does not answer when that was too long ago', async () => {
    const { manifests, origin, share, swarm, now } = manifestWorld()
    origin.goDown()
    swarm.admissions.set('anonymous', now())
    share(NEW, ['layer'], { tag: 'v1', at: now() - DAY_MS - 1 })
    await expect(manifests.head(scopeOf(), { tag: 'v1' }, never)).rejects.toMatchObject({ code: 'ORIGIN_UNAVAILABLE' })
  })

  it('seen by peers is never told as seen here, and is void when the origin has answered', async () => {
    const { digestOfTag, share, now, knowledge, repositories, origin, pass } = await agentThatSawOld()
    share(NEW, [], { tag: 'v1', at: now() })
    expect(await digestOfTag()).toBe(NEW.digest)
    expect(repositories.peersTag(REPOSITORY, 'v1')?.digest).toBe(NEW.digest)
    expect(knowledge.tag(REPOSITORY, 'v1')?.digest).toBe(OLD.digest)
    pass(20_000)
    origin.error = undefined
    expect(await digestOfTag()).toBe(OLD.digest)
    origin.goDown()
    expect(await digestOfTag()).toBe(OLD.digest)
    expect(repositories.peersTag(REPOSITORY, 'v1')).toBeUndefined()
  })

  it('that the origin said is gone is not brought back by an older record', async () => {
    const { digestOfTag, share, now, origin } = await agentThatSawOld()
    origin.error = new ShoalError('MANIFEST_UNKNOWN', 'gone')
    await expect(digestOfTag()).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
    origin.goDown()
    share(NEW, [], { tag: 'v1', at: now() - 1 })
    await expect(digestOfTag()).rejects.toMatchObject({ code: 'ORIGIN_UNAVAILABLE' })
  })

  it('is neither asked for nor told when tags are not shared', async () => {
    const { digestOfTag, share, now, swarm, knowledge } = await agentThatSawOld({ shareTags: false })
    share(NEW, [], { tag: 'v1', at: now() })
    expect(await digestOfTag()).toBe(OLD.digest)
    expect(swarm.askedFor('tag')).toEqual([])
    expect(swarm.announcedTags).toEqual([])
    expect(knowledge.tag(REPOSITORY, 'v1')).toBeUndefined()
  })

  it('is not asked of peers while the origin answers', async () => {
    const { manifests, publish, swarm } = manifestWorld()
    publish(OLD, 'v1')
    await manifests.head(scopeOf(), { tag: 'v1' }, never)
    expect(swarm.asked).toEqual([])
  })

  it('opened by a client’s own credentials is not told', async () => {
    const { manifests, publish, swarm, knowledge } = manifestWorld()
    publish(OLD, 'v1')
    await manifests.head(scopeOf('ann'), { tag: 'v1' }, never)
    expect(swarm.announcedTags).toEqual([])
    expect(knowledge.tag(REPOSITORY, 'v1')).toBeUndefined()
    await manifests.head(scopeOf(), { tag: 'v1' }, never)
    expect(knowledge.tag(REPOSITORY, 'v1')?.digest).toBe(OLD.digest)
  })
})

describe('time to an answer about a tag', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('is a moment longer when peers are silent, then no longer at all', async () => {
    const { digestOfTag, swarm, pass } = await agentThatSawOld()
    // The blobs are known to be with peers; only then they fall silent.
    await digestOfTag()
    swarm.tags.clear()
    pass(6_000)
    swarm.isSilent = true
    swarm.asked.length = 0
    const asked = digestOfTag()
    await vi.advanceTimersByTimeAsync(250)
    expect(await asked).toBe(OLD.digest)
    await vi.advanceTimersByTimeAsync(2_000)
    expect(await digestOfTag()).toBe(OLD.digest)
    expect(swarm.askedFor('tag')).toHaveLength(1)
  })

  it('is bounded when nothing is known and peers are silent', async () => {
    const { manifests, origin, swarm } = manifestWorld()
    origin.goDown()
    swarm.isSilent = true
    const asked = codeOf(manifests.head(scopeOf(), { tag: 'v1' }, never))
    await vi.advanceTimersByTimeAsync(2_000)
    expect(await asked).toBe('ORIGIN_UNAVAILABLE')
  })

  it('is the patience when the origin hangs and peers know the tag', async () => {
    const { manifests, origin, swarm, share, now } = manifestWorld()
    origin.isHanging = true
    share(NEW, ['layer'], { tag: 'v1', at: now() })
    swarm.admissions.set('anonymous', now())
    const asked = manifests.head(scopeOf(), { tag: 'v1' }, never)
    await vi.advanceTimersByTimeAsync(9_000)
    expect(swarm.askedFor('tag')).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(await asked).toMatchObject({ digest: NEW.digest, stale: {} })
    // Known to be out now: what peers saw answers at once.
    await vi.advanceTimersByTimeAsync(0)
    expect(await manifests.head(scopeOf(), { tag: 'v1' }, never)).toMatchObject({ digest: NEW.digest })
  })

  it('is asked of a mirror that answers, though the registry itself was out just now', async () => {
    const { digestOfTag, publish, manifests, origin } = await agentThatSawOld()
    publish(NEW, 'v1')
    await codeOf(manifests.head(scopeOf(), { tag: 'misspelt' }, never))
    expect(await digestOfTag()).toBe(OLD.digest)
    origin.liveMirror = true
    expect(await digestOfTag()).toBe(NEW.digest)
  })
})
