import { describe, expect, it } from 'vitest'
import type { Identity } from '../../../src/blob/ports.ts'
import { type Document, digestOfBytes, image, manifestWorld, never, REPOSITORY, scopeOf } from './manifest-world.ts'

const APP = image(['config', 'layer'])
const BLOBS = ['config', 'layer'].map((name) => Buffer.from(name))

type World = ReturnType<typeof manifestWorld>

/** Whatever `asking` asks of its swarm is answered by what `told` tells peers. */
function connect(asking: World, told: World): void {
  const { knowledge, store, access } = told
  const has = (blob: { digest: Document['digest']; registry: string }): boolean =>
    store.stat(blob.digest) !== undefined && access.mayVouch(blob.registry, blob.digest)
  Object.assign(asking.swarm, {
    findTag: async (...of: Parameters<typeof knowledge.tag>) => knowledge.tag(...of),
    findAdmission: async (...of: Parameters<typeof knowledge.admittedAt>) => knowledge.admittedAt(...of),
    findLink: async (...of: Parameters<typeof knowledge.isLinked>) => knowledge.isLinked(...of),
    hasBlob: async (blob: Parameters<typeof has>[0]) => has(blob),
    fetchSmall: async (blob: Parameters<typeof has>[0]) => {
      if (!has(blob)) return undefined
      const reader = await store.open(blob.digest)
      const bytes = Buffer.alloc(reader.size)
      await reader.read(bytes, 0, never)
      await reader.close()
      return bytes
    },
  })
}

/** One agent whose client pulled the image while the origin was there, and another one that never saw it. */
async function twoAgents(pull: { authorization?: string | undefined; own?: Identity }, other: { own?: Identity } = {}) {
  const [one, two] = [manifestWorld(), manifestWorld()]
  if (pull.own !== undefined) one.origin.own = pull.own
  if (other.own !== undefined) two.origin.own = other.own
  one.publish(APP, 'v1')
  await one.manifests.get(scopeOf(pull.authorization), { tag: 'v1' }, never)
  await one.manifests.stop()
  for (const bytes of BLOBS) await one.store.put(digestOfBytes(bytes), bytes)
  two.origin.goDown()
  connect(two, one)
  const ask = async (authorization?: string): Promise<string> =>
    await two.manifests.get(scopeOf(authorization), { tag: 'v1' }, never).then(
      ({ digest }) => digest,
      (error: { code: string }) => error.code,
    )
  return { one, two, ask }
}

const shared = (letter: string): Identity => ({ key: `agent-shared:${letter.repeat(64)}`, kind: 'agent-shared' })

describe('what one agent pulled and another is asked for without the origin', () => {
  it('is had by everybody when the origin gave it to nobody in particular', async () => {
    const { ask, two } = await twoAgents({})
    expect(await ask()).toBe(APP.digest)
    expect(await ask('ann')).toBe(APP.digest)
    const byDigest = await two.manifests.get(scopeOf(), { digest: APP.digest }, never)
    expect(byDigest.bytes).toEqual(APP.bytes)
  })

  it('is refused in the name of another repository or registry', async () => {
    const { two } = await twoAgents({})
    for (const repository of [
      { ...REPOSITORY, name: 'other' },
      { registry: 'other.test', name: REPOSITORY.name },
    ]) {
      for (const reference of [{ tag: 'v1' }, { digest: APP.digest }]) {
        const asked = two.manifests.get(scopeOf(undefined, repository), reference, never)
        await expect(asked).rejects.toMatchObject({ code: 'ORIGIN_UNAVAILABLE' })
      }
    }
  })

  it('with credentials of the agent is had where the agent has the same, by clients without their own', async () => {
    const { ask } = await twoAgents({ own: shared('a') }, { own: shared('a') })
    expect(await ask('bob')).toBe('ORIGIN_UNAVAILABLE')
    expect(await ask()).toBe(APP.digest)
  })

  it.each<[string, Identity]>([
    ['nobody’s', { key: 'anonymous', kind: 'anonymous' }],
    ['another account’s', shared('b')],
    ['its own affair', { key: 'agent:me', kind: 'agent' }],
  ])('with credentials of the agent is refused where those of the agent are %s', async (_name, own) => {
    const { ask } = await twoAgents({ own: shared('a') }, { own })
    expect(await ask()).toBe('ORIGIN_UNAVAILABLE')
  })

  it('with the credentials of a client is refused to everybody, that client included', async () => {
    const { ask } = await twoAgents({ authorization: 'ann' })
    for (const who of ['ann', 'bob', undefined]) expect(await ask(who)).toBe('ORIGIN_UNAVAILABLE')
  })
})
