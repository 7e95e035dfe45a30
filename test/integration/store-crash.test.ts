import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { chunkEnd, chunkStart, planChunks } from '../../src/blob/chunk-plan.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { DataDirLock } from '../../src/store/data-dir-lock.ts'
import { DiskBlobStore } from '../../src/store/disk-blob-store.ts'
import { HashPool } from '../../src/store/hash-pool.ts'
import { silentLog } from '../fakes/silent-log.ts'
import { knownBlobs, seededRandom } from '../fixtures/known-blobs.ts'

const KILLS = 50
/** A busy machine may need more until each of the states to look at was met. */
const MAX_KILLS = 150
const MAX_DELAY_MS = 120
/** On a busy machine a writer needs longer until it has stored anything. */
const MAX_SLOWNESS = 8
/** In the title, so that a failure can be repeated. */
const SEED = Date.now() % 1_000_000
const WRITER = fileURLToPath(new URL('../fixtures/store-writer.ts', import.meta.url))
const { signal } = new AbortController()

interface Writer {
  readonly process: ChildProcessByStdio<Writable, Readable, null>
  readonly exited: Promise<unknown[]>
}

let dir: string
let hashes: HashPool
let writer: Writer | undefined

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-crash-'))
  hashes = new HashPool({ log: silentLog }, { maxThreads: 1 })
})
afterAll(async () => {
  writer?.process.kill('SIGKILL')
  await hashes.stop()
  await rm(dir, { recursive: true })
})

function spawnWriter(seed: number): Writer {
  const started = spawn(process.execPath, [WRITER, dir, String(seed)], { stdio: ['pipe', 'pipe', 'inherit'] })
  return { process: started, exited: once(started, 'exit') }
}

function hashesOf(bytes: Uint8Array): string[] {
  const plan = planChunks(bytes.length)
  return Array.from({ length: plan.count }, (_, index) =>
    createHash('sha256')
      .update(bytes.subarray(chunkStart(plan, index), chunkEnd(plan, index)))
      .digest('hex'),
  )
}

/** Lets a writer run and kills it some time after it is ready. @returns what it said */
async function runAndKill({ process: running, exited }: Writer, afterMs: number): Promise<string[]> {
  const said: string[] = []
  const lines = createInterface({ input: running.stdout })
  const ended = once(lines, 'close')
  const ready = Promise.withResolvers<void>()
  lines.on('line', (line) => {
    said.push(line)
    if (line === 'ready') ready.resolve()
  })
  running.stdin.write('go')
  await Promise.race([ready.promise, exited])
  await delay(afterMs)
  running.kill('SIGKILL')
  const [code, killedBy] = await exited
  await ended
  expect({ code, killedBy }).toEqual({ code: null, killedBy: 'SIGKILL' })
  return said
}

it(`has lost nothing and holds nothing wrong after ${KILLS} kills (seed ${SEED})`, { timeout: 180_000 }, async () => {
  const random = seededRandom(SEED)
  const blobs = knownBlobs()
  const expectedHashes = new Map(blobs.map(({ digest, bytes }) => [digest, hashesOf(bytes)]))
  const finished = new Set<string>()
  let goodClaims = 0
  let keptMaps = 0
  let stored = 0
  let slowness = 1
  writer = spawnWriter(SEED)

  const nothingToSee = (): boolean => stored === 0 || goodClaims === 0 || keptMaps === 0
  for (let kill = 0; kill < KILLS || (nothingToSee() && kill < MAX_KILLS); kill += 1) {
    const said = await runAndKill(writer, random() * MAX_DELAY_MS * slowness)
    // It loads its code while this process looks at what the last one left.
    writer = spawnWriter(SEED + kill + 1)
    for (const line of said) {
      const [what = '', digest = ''] = line.split(' ')
      if (what === 'stored') {
        finished.add(digest)
        stored += 1
      }
      if (what === 'removing') finished.delete(digest)
    }
    if (stored * 2 < kill || keptMaps * 10 < kill) slowness = Math.min(MAX_SLOWNESS, slowness * 1.5)

    using lock = new DataDirLock({ dir })
    lock.acquire()
    await using store = new DiskBlobStore({ log: silentLog, clock: Date.now, hashes }, { dir, quotaBytes: 1024 ** 3 })
    await store.start()
    for await (const event of store.verify({ signal })) {
      if (event.step === 'damaged' || event.step === 'unchecked') throw new Error(JSON.stringify(event))
    }
    const held = new Set<string>(store.list().map((blob) => blob.digest))
    expect([...finished].filter((digest) => !held.has(digest))).toEqual([])
    for (const { digest } of store.list()) {
      expect(await store.chunkHashes(digest, { signal })).toEqual(expectedHashes.get(digest))
    }
    const maps = await readdir(join(dir, 'maps'), { recursive: true, withFileTypes: true }).catch(() => [])
    const mapped = maps.filter((entry) => entry.isFile()).map((entry) => digestOf('sha256', entry.name))
    expect(mapped.filter((digest) => !held.has(digest))).toEqual([])
    keptMaps += mapped.length
    expect((await readdir(join(dir, 'partial'))).filter((name) => name.endsWith('.tmp'))).toEqual([])

    for (const { digest, bytes } of blobs.filter((blob) => !held.has(blob.digest))) {
      const size = store.partialSize(digest)
      if (size === undefined) continue
      expect(size).toBe(bytes.length)
      const partial = await store.openPartial(digest, size)
      for (const [index, hash] of partial.claimed) {
        if ((await partial.hashChunk(index)) !== hash) continue
        const expected = bytes.subarray(chunkStart(partial.plan, index), chunkEnd(partial.plan, index))
        const found = Buffer.alloc(expected.length)
        await partial.read(found, chunkStart(partial.plan, index))
        expect(found.equals(expected)).toBe(true)
        goodClaims += 1
      }
      await partial.close()
    }
  }
  expect(stored).toBeGreaterThan(0)
  expect(goodClaims).toBeGreaterThan(0)
  expect(keptMaps).toBeGreaterThan(0)
})
