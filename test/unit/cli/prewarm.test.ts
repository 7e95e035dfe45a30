import { describe, expect, it } from 'vitest'
import { CliError } from '../../../src/cli/cli-error.ts'
import { prewarm } from '../../../src/cli/commands/prewarm.ts'
import { transfers } from '../../../src/cli/commands/transfers.ts'
import type { TransferDetail } from '../../../src/facade/transfers-api.ts'
import type { PrewarmEvent } from '../../../src/prewarm/prewarm-events.ts'

const DIGEST = `sha256:${'ab'.repeat(32)}`
const OTHER = `sha256:${'cd'.repeat(32)}`
const MIB = 1024 * 1024
const NONE = { fromOrigin: 0, fromPeers: 0 }
const image = 'app:v1'
const TERMINAL = { size: () => ({ columns: 100, rows: 24 }), hasColor: false }

const EVENTS: PrewarmEvent[] = [
  {
    type: 'image',
    image,
    digest: DIGEST,
    platforms: ['linux/arm64'],
    layers: [{ digest: DIGEST, size: MIB }, { digest: OTHER }],
    totalBytes: 4 * MIB,
  },
  {
    type: 'progress',
    image,
    bytes: MIB,
    totalBytes: 4 * MIB,
    bytesPerSecond: MIB,
    fromOrigin: MIB / 4,
    fromPeers: (3 * MIB) / 4,
    layers: [{ digest: DIGEST, size: MIB, bytes: MIB / 2 }],
  },
  { type: 'layer', image, digest: DIGEST, size: MIB, outcome: 'fetched', fromOrigin: MIB, fromPeers: 0 },
  { type: 'layer', image, digest: OTHER, outcome: 'here', ...NONE },
  {
    type: 'image-done',
    image,
    ok: true,
    failedLayers: 0,
    totalBytes: 4 * MIB,
    seconds: 2,
    fromOrigin: MIB,
    fromPeers: 0,
  },
  {
    type: 'host',
    image,
    peer: 'peer-00000001',
    address: '10.0.0.2:1',
    state: 'running',
    bytes: MIB,
    totalBytes: 4 * MIB,
    ...NONE,
  },
  {
    type: 'host',
    image,
    peer: 'peer-00000001',
    address: '10.0.0.2:1',
    state: 'done',
    bytes: 0,
    totalBytes: 4 * MIB,
    ...NONE,
  },
  { type: 'done', ok: true, images: 1, failedImages: 0, hosts: 1, failedHosts: 0 },
]

async function run(
  events: readonly (PrewarmEvent | { type: 'failed'; message: string })[],
  { json = false, onTerminal = false, hosts = undefined as number | undefined } = {},
) {
  let out = ''
  let err = ''
  let now = 0
  const outcome = await prewarm(
    { images: [image], platforms: [], hosts },
    {
      client: {
        prewarm: async function* () {
          yield* events
        },
      },
      json,
      print: (text) => {
        out += text
      },
      bars: onTerminal
        ? {
            terminal: TERMINAL,
            write: (text) => {
              err += text
            },
          }
        : undefined,
      // far enough apart for everything to be shown
      clock: () => (now += 10_000),
    },
  ).then(
    () => undefined,
    (error: unknown) => error,
  )
  return { out, err, outcome }
}

describe('shoal prewarm', () => {
  it('prints a line for each thing that came to an end where there is no terminal, and moves no cursor', async () => {
    const { out, err, outcome } = await run(EVENTS, { hosts: 8 })
    expect(outcome).toBeUndefined()
    expect(err).toBe('')
    expect(out).not.toContain('\u001b')
    expect(out.split('\n')).toEqual([
      `app:v1: ${DIGEST} (linux/arm64), 2 layers, 4 MiB`,
      'app:v1: 1 MiB of 4 MiB, 1 MiB/s, 3 s left',
      'app:v1: fetched abababababab, 1 MiB, 100 % from registries',
      'app:v1: was here cdcdcdcdcdcd',
      'app:v1: done, 4 MiB in 2 s, 100 % from registries',
      'app:v1: 10.0.0.2:1 (00000001) done, 4 MiB, all was there',
      '1 of 1 image is here, 1 of 1 other host has it.',
      '',
    ])
  })

  it('draws bars on a terminal, and leaves what came to an end', async () => {
    const { out, err } = await run(EVENTS, { onTerminal: true, hosts: 8 })
    expect(out.split('\n')).toEqual([
      'app:v1: done, 4 MiB in 2 s, 100 % from registries',
      'app:v1: 10.0.0.2:1 (00000001) done, 4 MiB, all was there',
      '1 of 1 image is here, 1 of 1 other host has it.',
      '',
    ])
    expect(err).toMatch(/app:v1 +━+─+ {3}25 % {2}1 MiB of 4 MiB +1 MiB\/s +3 s left/)
    expect(err).toMatch(/ {2}abababababab +━+─+ {3}50 % {2}512 KiB of 1 MiB/)
    expect(err).toContain('0 of 2 layers; 25 % from registries, 75 % from peers')
    expect(err).toContain('hosts: 1 running, 0 done')
    expect(err.endsWith('\u001b[J')).toBe(true)
  })

  it.each([
    [{ ok: true, failedImages: 0 }, '1 of 1 image is here, no other host is connected.'],
    [{ ok: false, failedImages: 1, unknownImages: 1 }, '0 of 1 image is here, no other host was asked.'],
  ])('says why no other host has it when they were meant too: %j', async (end, summary) => {
    const done = { type: 'done', images: 1, hosts: 0, failedHosts: 0, ...end } as const
    const { out, outcome } = await run([done], { hosts: 8 })
    expect(end.ok ? out : (outcome as CliError).message).toContain(summary)
    expect((await run([done])).out).toBe('')
  })

  it('prints the events as they are with --json', async () => {
    const { out, err } = await run(EVENTS, { json: true, onTerminal: true })
    expect(err).toBe('')
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual(EVENTS)
  })

  it('names what failed, and fails', async () => {
    const { out, outcome } = await run([
      { type: 'layer', image, digest: OTHER, outcome: 'failed', message: 'gone \u001b[2J', ...NONE },
      { type: 'image-done', image, ok: false, failedLayers: 1, totalBytes: 1, seconds: 1, ...NONE },
      {
        type: 'host',
        image,
        peer: 'p',
        address: 'a',
        state: 'failed',
        bytes: 0,
        totalBytes: 0,
        message: 'no',
        ...NONE,
      },
      { type: 'done', ok: false, images: 1, failedImages: 1, hosts: 1, failedHosts: 1 },
    ])
    expect(out).toContain(`app:v1: failed ${OTHER}: gone ?[2J`)
    expect(out).toContain('app:v1: failed: 1 layer')
    expect(out).toContain('a (p) failed: no')
    expect(outcome).toBeInstanceOf(CliError)
    expect(outcome).toMatchObject({ exitCode: 1 })
  })

  it('fails when the agent gives up, or goes away in the middle', async () => {
    expect((await run([{ type: 'failed', message: 'disk gone' }])).outcome).toMatchObject({ message: 'disk gone' })
    const { outcome, err } = await run(EVENTS.slice(0, 2), { onTerminal: true })
    expect(outcome).toMatchObject({ message: expect.stringContaining('went away') })
    expect(err.endsWith('\u001b[J')).toBe(true)
  })
})

describe('shoal transfers', () => {
  const transfer: TransferDetail = {
    digest: DIGEST,
    names: ['app:v1'],
    registry: 'docker.io',
    size: 4 * MIB,
    verifiedChunks: 4,
    chunks: 16,
    chunkBytes: MIB / 4,
    readers: 2,
    startedAt: 0,
    bytes: { store: 0, origin: MIB / 2, peer: MIB / 2 },
    bytesPerSecond: MIB,
    chunkMap: [],
  }
  const show = async (list: TransferDetail[], more: { json?: boolean; watch?: boolean; isTerminal?: boolean } = {}) => {
    let out = ''
    const stop = new AbortController()
    let asked = 0
    await transfers(
      {
        client: {
          transfers: async () => {
            asked += 1
            if (asked === 2 || more.watch !== true) stop.abort()
            return { transfers: list, ended: [] }
          },
        },
        json: more.json ?? false,
        watch: more.watch ?? false,
        print: (text) => {
          out += text
        },
        terminal: more.isTerminal === true ? TERMINAL : undefined,
      },
      { signal: stop.signal },
    )
    return out
  }

  it('lists them with rate, sources and the time left', async () => {
    const [, row = ''] = (await show([transfer])).split('\n')
    expect(row.split(/ {2,}/)).toEqual([
      'abababababab',
      'app:v1',
      '1 MiB',
      '4 MiB',
      '1 MiB/s',
      '3 s',
      '50 % from registries, 50 % from peers',
      '2',
    ])
    const [, unsized = ''] = (await show([{ ...transfer, size: undefined, chunkBytes: undefined }])).split('\n')
    expect(unsized.split(/ {2,}/).slice(2, 4)).toEqual(['1 MiB', '?'])
    expect(await show([])).toBe('Nothing is on its way.\n')
    expect(JSON.parse(await show([transfer], { json: true }))).toEqual([transfer])
  })

  it('draws a bar for all and for each while it watches', async () => {
    const out = await show([transfer, { ...transfer, digest: OTHER, size: undefined }], {
      watch: true,
      isTerminal: true,
    })
    expect(out).toMatch(/2 transfers +━+─+ /)
    expect(out).toMatch(/ {2}app:v1 abababababab +━+─+ /)
    expect(out).toContain('50 % from registries, 50 % from peers')
  })

  it('prints only what changed while it watches without a terminal', async () => {
    expect((await show([transfer], { watch: true })).split('\n')).toHaveLength(3)
  })
})
