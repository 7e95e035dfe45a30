import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { LaneLoad } from '../../../../src/swarm/lane/lane-load.ts'
import { formatLaneRange, formatLaneTarget } from '../../../../src/swarm/lane/lane-protocol.ts'
import { LaneRoutes } from '../../../../src/swarm/lane/lane-routes.ts'
import { LaneSender } from '../../../../src/swarm/lane/lane-sender.ts'
import { BufferPool } from '../../../../src/util/buffer-pool.ts'
import { patternBytes } from '../../../fakes/fake-blob-reader.ts'
import { LaneContent } from '../../../fakes/lane-content.ts'

const CHUNK = 256 * 1024
const BYTES = patternBytes(8 * CHUNK)
const REGISTRY = 'docker.io'

/** The routes behind a port, where a header says who asks. Reading waits for `gate`. */
async function startRoutes(): Promise<{
  readonly ask: (peer: string, chunk: number) => Promise<string>
  readonly pass: (ms: number) => void
  readonly gate: PromiseWithResolvers<void>
}> {
  const gate = Promise.withResolvers<void>()
  const content = new LaneContent()
  const digest = content.add(BYTES, REGISTRY, { beforeRead: () => gate.promise })
  let now = 0
  const pool = new BufferPool({ bufferBytes: CHUNK, smallBytes: CHUNK, budgetBytes: 16 * CHUNK, keptBuffers: 1 })
  const routes = new LaneRoutes({
    content,
    load: new LaneLoad({ requestsPerPeer: 8, requests: 64 }),
    sender: new LaneSender({ pool, bucket: undefined }, { pieceBytes: CHUNK }),
    clock: () => now,
  })
  const progress = { onWrite: () => {}, onWritten: () => {} }
  const server = createServer((request, response) => {
    void routes.answer(request, response, String(request.headers['x-peer']), progress, new AbortController())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    gate.resolve()
    server.closeAllConnections()
    server.close()
  })
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    ask: async (peer, chunk) => {
      const range = formatLaneRange({ start: chunk * CHUNK, end: (chunk + 1) * CHUNK })
      const answer = await fetch(`${base}${formatLaneTarget({ digest, registry: REGISTRY, range: undefined })}`, {
        headers: { range, 'x-peer': peer },
      })
      const bytes = Buffer.from(await answer.arrayBuffer())
      const isWhole = bytes.equals(BYTES.subarray(chunk * CHUNK, (chunk + 1) * CHUNK))
      return `${answer.status} ${isWhole ? 'all of it' : answer.headers.get('shoal-crowded')}`
    },
    pass: (ms) => {
      now += ms
    },
    gate,
  }
}

it('says of a chunk that others are given it, and of itself that others have been asking for longer', async () => {
  const { ask, pass, gate } = await startRoutes()
  const elders = [ask('a', 0), ask('a', 1), ask('b', 0), ask('b', 1), ask('c', 0)]
  expect(await ask('d', 0)).toBe('429 range')
  pass(5_000)
  const young = [ask('young', 2), ask('young', 3)]
  expect(await Promise.race(young)).toBe('429 peer')
  gate.resolve()
  expect(await Promise.all(elders)).toEqual(Array.from({ length: 5 }, () => '206 all of it'))
  expect((await Promise.all(young)).toSorted()).toEqual(['206 all of it', '429 peer'])
  expect(await ask('young', 3)).toBe('206 all of it')
})
