/** A disk that fills up under an agent, as its clients see it. */
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { blobOf } from '../fixtures/adversary/false-blob.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { TestAgent } from '../fixtures/test-agent.ts'

const MIB = 1024 * 1024
const SOON = { timeout: 15_000, interval: 20 }
const RATE = 8 * MIB

interface Received {
  readonly status: number
  readonly bytes: Buffer
  readonly isWhole: boolean
}

/** @param onBytes is told how many there are by now */
async function receive(url: string, from = 0, onBytes = (_count: number): void => {}): Promise<Received> {
  const answer = await fetch(url, from === 0 ? {} : { headers: { range: `bytes=${from}-` } })
  const pieces: Uint8Array[] = []
  let count = 0
  try {
    for await (const piece of answer.body ?? []) {
      pieces.push(piece as Uint8Array)
      count += (piece as Uint8Array).length
      onBytes(count)
    }
  } catch {
    return { status: answer.status, bytes: Buffer.concat(pieces), isWhole: false }
  }
  return { status: answer.status, bytes: Buffer.concat(pieces), isWhole: true }
}

// A disk of its own takes a mount, and a mount takes root.
describe.skipIf(process.getuid?.() !== 0)('an agent whose disk fills up', () => {
  let disk: string

  beforeEach(async () => {
    disk = await mkdtemp(join(tmpdir(), 'shoal-disk-'))
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', disk])
  })
  afterEach(async () => {
    execFileSync('/bin/umount', ['--lazy', disk])
    await rm(disk, { recursive: true })
  })

  it('cuts the download in the middle, hands the client the rest, and stores again when there is room', async () => {
    await using origin = await FaultOrigin.start()
    const match = { method: 'GET', path: /\/blobs\// }
    origin.inject({ fault: { kind: 'slow', bytesPerSecond: RATE }, match, times: Infinity })
    const [cut, next, last] = [blobOf('cut', 32), blobOf('while it is full', 48), blobOf('afterwards', 8)]
    for (const { bytes } of [cut, next, last]) origin.addBlob(bytes)
    await using agent = await TestAgent.start({ origins: [origin.registry], store: { dir: disk, quota: '1GiB' } })
    const url = ({ digest }: { digest: string }): string => agent.url(`/v2/app/blobs/${digest}`)

    let filled: Promise<void> | undefined
    const first = await receive(url(cut), 0, (count) => {
      if (count > MIB) filled ??= writeFile(join(disk, 'ballast'), Buffer.alloc(16 * MIB)).catch(() => {})
    })
    await filled
    expect(first).toMatchObject({ status: 200, isWhole: false })
    expect(first.bytes.equals(cut.bytes.subarray(0, first.bytes.length))).toBe(true)
    expect(first.bytes.length).toBeGreaterThan(MIB)
    // as clients do: with a range from where they are
    const rest = await receive(url(cut), first.bytes.length)
    expect(rest).toMatchObject({ status: 206, isWhole: true })
    expect(Buffer.concat([first.bytes, rest.bytes]).equals(cut.bytes)).toBe(true)
    expect((await agent.status()).store.writable).toBe(false)
    expect(await (await fetch(agent.adminUrl('/metrics'))).text()).toMatch(/^shoal_store_writable 0$/m)

    // larger than what could be evicted for it
    const passed = await receive(url(next))
    expect(passed.isWhole && passed.bytes.equals(next.bytes)).toBe(true)
    await agent.idle()
    expect(await agent.storedDigests()).toEqual([])

    await rm(join(disk, 'ballast'))
    await vi.waitUntil(async () => (await agent.status()).store.writable, SOON)
    const stored = await receive(url(last))
    expect(stored.isWhole && stored.bytes.equals(last.bytes)).toBe(true)
    await agent.idle()
    expect(await agent.storedDigests()).toEqual([last.digest])
  })
})
