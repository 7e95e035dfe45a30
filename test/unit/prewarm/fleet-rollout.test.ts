import { expect, it } from 'vitest'
import { ShoalError } from '../../../src/errors.ts'
import type { Fleet, HostEnd } from '../../../src/prewarm/fleet.ts'
import { FleetRollout } from '../../../src/prewarm/fleet-rollout.ts'
import type { PrewarmEvent } from '../../../src/prewarm/prewarm-events.ts'

const IMAGE = {
  image: 'app:v1',
  name: { repository: { registry: 'r.test', name: 'app' }, reference: { tag: 'v1' } },
}
const DONE: HostEnd = { ok: true, message: undefined, bytes: 10, totalBytes: 10, fromOrigin: 0, fromPeers: 10 }

function fleetOf(count: number, ask: Fleet['ask']): Fleet {
  const hosts = Array.from({ length: count }, (_, index) => ({ id: `peer${index}`, address: `10.0.0.${index}:1` }))
  return { hosts: () => hosts, ask }
}

it('asks so many hosts at a time, each for the same', async () => {
  let running = 0
  let most = 0
  const asked: unknown[] = []
  const fleet = fleetOf(7, async (_id, image) => {
    asked.push(image)
    running += 1
    most = Math.max(most, running)
    await new Promise((resolve) => setImmediate(resolve))
    running -= 1
    return DONE
  })
  const rollout = new FleetRollout({ fleet }, { hostsAtOnce: 3, platforms: ['linux/arm64'] })
  const { signal } = new AbortController()
  expect(await rollout.run(IMAGE, () => {}, { signal })).toEqual({ hosts: 7, failed: 0 })
  expect(most).toBe(3)
  const one = { registry: 'r.test', name: 'app', reference: 'v1', platforms: ['linux/arm64'] }
  expect(asked).toEqual(Array.from({ length: 7 }, () => one))
})

it('tells of a host that fails how far it was, and goes on with the others', async () => {
  const fleet = fleetOf(2, async (id, _image, onProgress) => {
    if (id === 'peer1') return DONE
    onProgress({ bytes: 4, totalBytes: 10, fromOrigin: 4, fromPeers: 0 })
    throw new ShoalError('PEER_UNAVAILABLE', 'it went away')
  })
  const events: PrewarmEvent[] = []
  const rollout = new FleetRollout({ fleet }, { hostsAtOnce: 1, platforms: [] })
  const { signal } = new AbortController()
  const counts = await rollout.run(IMAGE, (event) => events.push(event), { signal })
  expect(counts).toEqual({ hosts: 2, failed: 1 })
  expect(events).toMatchObject([
    { peer: 'peer0', state: 'running', bytes: 4 },
    { peer: 'peer0', state: 'failed', bytes: 4, fromOrigin: 4, message: 'it went away' },
    { peer: 'peer1', state: 'done', bytes: 10 },
  ])
})

it('ends when nobody wants it any more', async () => {
  const leaving = new AbortController()
  const fleet = fleetOf(5, async () => {
    leaving.abort(new Error('left'))
    throw new Error('aborted')
  })
  const rollout = new FleetRollout({ fleet }, { hostsAtOnce: 1, platforms: [] })
  await expect(rollout.run(IMAGE, () => {}, leaving)).rejects.toThrow('left')
})
