import { expect, it } from 'vitest'
import { FakePeer, statementOf } from '../../fakes/fake-swarm.ts'
import { readAll, TransferWorld } from '../../fakes/transfer-world.ts'
import { randomBytesOf } from '../../fixtures/random-bytes.ts'

it('peers that never give a request its turn hold up nobody for long, however many they are', {
  timeout: 30_000,
}, async () => {
  const bytes = randomBytesOf('turns', 24 * 256 * 1024)
  const world = new TransferWorld(bytes)
  world.swarm.grants = () => ({ ranges: [], forMs: 1_000, members: 8 })
  for (let index = 0; index < 6; index++) {
    const peer = new FakePeer(`gone ${index}`, bytes)
    peer.open = async (_range, { signal }) => {
      const { promise, reject } = Promise.withResolvers<never>()
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      return await promise
    }
    world.swarm.add(peer, statementOf(peer.id, world.digest, bytes))
  }
  world.swarm.add(new FakePeer('good', bytes), statementOf('good', world.digest, bytes))
  const transfer = world.transfer()
  await transfer.begin(world.origin, world.beginning({ statedSize: bytes.length }))
  const reader = transfer.openReader()
  expect((await readAll(reader)).seen.equals(bytes)).toBe(true)
  await reader.close()
  expect(await transfer.ended).toBe('complete')
})
