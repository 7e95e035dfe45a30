import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { parseTransferLog } from '../../../scripts/fleet/transfer-logs.ts'
import type { ChunkFate } from '../../../src/blob/ports.ts'
import { parseConfig } from '../../../src/config.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'
import { TransferLog } from '../../../src/telemetry/transfer-log.ts'

const digest = digestOf('sha256', 'ab'.repeat(32))
const fate = (chunk: number): ChunkFate => ({ digest, chunk, source: 'peer', peer: 'p', event: 'verified' })

describe('TransferLog', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'shoal-transfer-log-'))
  })
  afterEach(() => rm(dir, { recursive: true }))

  function world(file: string, maxWaiting?: number) {
    const lines: string[] = []
    const log = createLogger(
      { level: 'debug', format: 'json', sample: 0 },
      { sink: { write: (line) => void lines.push(line) } },
    )
    const transfers = new TransferLog({ log, clock: () => 1_000.4 }, { file, ...(maxWaiting && { maxWaiting }) })
    const { transfers: counters } = new Metrics({ version: '0' })
    return { lines, transfers, metrics: transfers.beside(counters) }
  }

  it('appends a line for each chunk, as the picture of a fleet reads it', async () => {
    const file = join(dir, 'log')
    for (const run of [0, 1]) {
      const { transfers, metrics } = world(file)
      metrics.chunk?.(fate(run))
      metrics.chunk?.({ digest, chunk: 7, source: 'origin', peer: undefined, event: 'wasted' })
      await transfers[Symbol.asyncDispose]()
    }
    const text = await readFile(file, 'utf8')
    expect(text.endsWith('\n')).toBe(true)
    expect(parseTransferLog(text, 'h1')).toEqual([
      { time: 1_000, digest, chunk: 0, source: 'peer', peer: 'p', event: 'verified', host: 'h1' },
      { time: 1_000, digest, chunk: 7, source: 'origin', event: 'wasted', host: 'h1' },
      { time: 1_000, digest, chunk: 1, source: 'peer', peer: 'p', event: 'verified', host: 'h1' },
      { time: 1_000, digest, chunk: 7, source: 'origin', event: 'wasted', host: 'h1' },
    ])
  })

  it('touches no file before there is a line', async () => {
    const file = join(dir, 'log')
    const { transfers } = world(file)
    await transfers[Symbol.asyncDispose]()
    expect(existsSync(file)).toBe(false)
  })

  it.runIf(existsSync('/dev/full')).each([
    ['a full disk', () => '/dev/full'],
    ['a directory that is not there', () => join(dir, 'no', 'log')],
  ])('is off after %s, with one warning', async (_, fileOf) => {
    const { transfers, metrics, lines } = world(fileOf())
    metrics.chunk?.(fate(0))
    await vi.waitFor(() => expect(lines.length).toBe(1))
    for (let chunk = 1; chunk < 100; chunk++) metrics.chunk?.(fate(chunk))
    await transfers[Symbol.asyncDispose]()
    expect(lines.length).toBe(1)
    expect(lines[0]).toContain('is off')
  })

  it('leaves out what a slow disk has no time for, with one warning', async () => {
    const file = join(dir, 'log')
    const { transfers, metrics, lines } = world(file, 10)
    for (let chunk = 0; chunk < 100; chunk++) metrics.chunk?.(fate(chunk))
    await transfers[Symbol.asyncDispose]()
    expect((await readFile(file, 'utf8')).trimEnd().split('\n').length).toBe(10)
    expect(lines.length).toBe(1)
  })

  it('is not readable by everybody', async () => {
    const file = join(dir, 'log')
    const { transfers, metrics } = world(file)
    metrics.chunk?.(fate(0))
    await transfers[Symbol.asyncDispose]()
    expect((await stat(file)).mode & 0o007).toBe(0)
  })

  it('is switched on by a key of the configuration', () => {
    expect(parseConfig({}).log.transfers).toBeUndefined()
    expect(parseConfig({ log: { transfers: '/x' } }).log.transfers).toBe('/x')
  })
})
