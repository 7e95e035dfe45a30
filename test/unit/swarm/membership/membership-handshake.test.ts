import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type ErrorCode, hasCode } from '../../../../src/errors.ts'
import { encodeHello } from '../../../../src/swarm/membership/hello.ts'
import {
  type HandshakeChannel,
  type HandshakeSide,
  MAX_KEYS,
  shakeHands,
} from '../../../../src/swarm/membership/membership-handshake.ts'
import { raceAbort } from '../../../../src/util/race-abort.ts'

const KEY = Buffer.alloc(32, 1)
const OTHER = Buffer.alloc(32, 2)

function helloBytes(): Uint8Array {
  return encodeHello({
    nonce: randomBytes(32),
    time: Date.now(),
    version: '1',
    zone: '',
    lane: { fingerprint: '', port: 0, hosts: [] },
  })
}

function side(role: 'initiator' | 'responder', keys: readonly Uint8Array[]): HandshakeSide {
  const [self, remote] = role === 'initiator' ? ['alice', 'bob'] : ['bob', 'alice']
  return { role, self, remote, hello: helloBytes(), keys }
}

interface Pipe {
  readonly channel: HandshakeChannel
  /** What this side wrote. */
  readonly sent: Uint8Array[]
}

/** Two ends; closing one makes the other's reads fail. */
function pipes(): { a: Pipe; b: Pipe; close: () => void } {
  const queues = [new Queue(), new Queue()] as const
  const end = (own: Queue, other: Queue): Pipe => {
    const sent: Uint8Array[] = []
    return {
      sent,
      channel: {
        read: async ({ signal }) => ({
          subarray: (
            (bytes) => () =>
              bytes
          )(await own.shift(signal)),
        }),
        write: async (message) => {
          sent.push(message)
          other.push(message)
        },
      },
    }
  }
  return {
    a: end(queues[0], queues[1]),
    b: end(queues[1], queues[0]),
    close: () => {
      for (const queue of queues) queue.close()
    },
  }
}

class Queue {
  readonly #messages: Uint8Array[] = []
  #arrival = Promise.withResolvers<void>()
  #isClosed = false

  push(message: Uint8Array): void {
    this.#messages.push(message)
    this.#arrival.resolve()
  }

  close(): void {
    this.#isClosed = true
    this.#arrival.resolve()
  }

  async shift(signal: AbortSignal): Promise<Uint8Array> {
    for (;;) {
      const message = this.#messages.shift()
      if (message !== undefined) return message
      if (this.#isClosed) throw new Error('closed')
      await raceAbort(this.#arrival.promise, signal)
      this.#arrival = Promise.withResolvers()
    }
  }
}

const { signal } = new AbortController()

/** Both sides at once; whoever fails closes the connection, as libp2p does. */
async function meet(
  alice: readonly Uint8Array[],
  bob: readonly Uint8Array[],
): Promise<{ alice: unknown; bob: unknown; sentByBob: Uint8Array[] }> {
  const { a, b, close } = pipes()
  const run = (pipe: Pipe, of: HandshakeSide): Promise<unknown> =>
    shakeHands(pipe.channel, of, { signal }).catch((error: unknown) => {
      close()
      return error
    })
  const results = await Promise.all([run(a, side('initiator', alice)), run(b, side('responder', bob))])
  return { alice: results[0], bob: results[1], sentByBob: b.sent }
}

function isRefused(outcome: unknown, code: ErrorCode): boolean {
  return hasCode(outcome, code)
}

describe('the handshake of members', () => {
  it('gives both sides the hello of the other when they know the same secret', async () => {
    const { alice, bob } = await meet([KEY], [KEY])
    expect(alice).toMatchObject({ hello: { v: 1 }, key: KEY })
    expect(bob).toMatchObject({ hello: { v: 1 }, key: KEY })
  })

  it('lets a secret be changed for another while both are in use', async () => {
    for (const [a, b, key] of [
      [[KEY, OTHER], [OTHER], OTHER],
      [[KEY], [OTHER, KEY], KEY],
      [[OTHER, KEY], [KEY, OTHER], KEY],
    ] as const) {
      const { alice, bob } = await meet(a, b)
      expect([alice, bob]).toEqual([expect.objectContaining({ key }), expect.objectContaining({ key })])
    }
  })

  it('refuses a peer with another secret, and proves nothing to it', async () => {
    const { alice, bob, sentByBob } = await meet([OTHER], [KEY])
    expect(isRefused(bob, 'UNAUTHORIZED')).toBe(true)
    expect(alice).toBeInstanceOf(Error)
    expect(sentByBob).toHaveLength(1)
  })

  it('refuses a responder that does not know the secret', async () => {
    const { a, b } = pipes()
    const outcome = shakeHands(a.channel, side('initiator', [KEY]), { signal }).catch((error: unknown) => error)
    await b.channel.write(helloBytes(), { signal })
    await b.channel.write(randomBytes(32), { signal })
    expect(isRefused(await outcome, 'UNAUTHORIZED')).toBe(true)
  })

  it('refuses its own proof sent back to it', async () => {
    const { a, b } = pipes()
    const outcome = shakeHands(a.channel, side('initiator', [KEY]), { signal }).catch((error: unknown) => error)
    const hello = (await b.channel.read({ signal })).subarray()
    await b.channel.write(hello, { signal })
    await b.channel.write((await b.channel.read({ signal })).subarray(), { signal })
    expect(isRefused(await outcome, 'UNAUTHORIZED')).toBe(true)
  })

  it('refuses what was said in an earlier handshake', async () => {
    const recorded = pipes()
    await Promise.all([
      shakeHands(recorded.a.channel, side('initiator', [KEY]), { signal }),
      shakeHands(recorded.b.channel, side('responder', [KEY]), { signal }),
    ])
    const { a, b } = pipes()
    const outcome = shakeHands(b.channel, side('responder', [KEY]), { signal }).catch((error: unknown) => error)
    for (const message of recorded.a.sent) await a.channel.write(message, { signal })
    expect(isRefused(await outcome, 'UNAUTHORIZED')).toBe(true)
    expect(b.sent).toHaveLength(1)
  })

  it('refuses a proof that was made for another peer', async () => {
    const { a, b } = pipes()
    const forged = { ...side('initiator', [KEY]), self: 'mallory' }
    const outcome = shakeHands(b.channel, side('responder', [KEY]), { signal }).catch((error: unknown) => error)
    const passed = shakeHands(a.channel, forged, { signal }).catch(() => undefined)
    expect(isRefused(await outcome, 'UNAUTHORIZED')).toBe(true)
    await b.channel.write(randomBytes(32), { signal })
    await passed
  })

  it.each([0, 1, 31, 33, 32 * (MAX_KEYS + 1)])('refuses %i bytes for proofs', async (length) => {
    const { a, b } = pipes()
    const outcome = shakeHands(b.channel, side('responder', [KEY]), { signal }).catch((error: unknown) => error)
    await a.channel.write(helloBytes(), { signal })
    await a.channel.write(randomBytes(length), { signal })
    expect(isRefused(await outcome, 'UNAUTHORIZED')).toBe(true)
  })

  it('ends when it is told to, however silent the other side is', async () => {
    const { a } = pipes()
    const stop = new AbortController()
    const outcome = shakeHands(a.channel, side('initiator', [KEY]), { signal: stop.signal })
    stop.abort(new Error('too late'))
    await expect(outcome).rejects.toThrow('too late')
  })
})
