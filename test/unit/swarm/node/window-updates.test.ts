import type { Stream } from '@libp2p/interface'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { sendFewWindowUpdates } from '../../../../src/swarm/node/window-updates.ts'

const WINDOW = 256 * 1024

describe('window updates of streams', () => {
  const closing: (() => void)[] = []
  afterEach(() => {
    for (const close of closing.splice(0)) close()
  })

  async function streams(): Promise<{ from: Stream; to: Stream; answered: () => number }> {
    sendFewWindowUpdates()
    const [outbound, inbound] = multiaddrConnectionPair()
    const factory = yamux({ enableKeepAlive: false })()
    const [near, far] = [factory.createStreamMuxer(outbound), factory.createStreamMuxer(inbound)]
    closing.push(() => outbound.abort(new Error('over')))
    let answers = 0
    outbound.addEventListener('message', () => {
      answers += 1
    })
    const arriving = new Promise<Stream>((resolve) =>
      far.addEventListener('stream', ({ detail }) => resolve(detail), { once: true }),
    )
    const from = await near.createStream()
    return { from, to: await arriving, answered: () => answers }
  }

  it('are not sent for small messages', async () => {
    const { from, to, answered } = await streams()
    let got = 0
    to.addEventListener('message', ({ data }) => {
      got += data.byteLength
    })
    for (let round = 1; round <= 10; round++) {
      for (let count = 0; count < 50; count++) from.send(new Uint8Array(100))
      await vi.waitFor(() => expect(got).toBe(round * 5_000), { interval: 1 })
    }
    expect(answered()).toBeLessThanOrEqual(2)
  })

  it('let a sender go on beyond the window', async () => {
    const { from, to, answered } = await streams()
    let got = 0
    to.addEventListener('message', ({ data }) => {
      got += data.byteLength
    })
    const piece = new Uint8Array(32 * 1024)
    for (let sent = 0; sent < 8 * WINDOW; sent += piece.length) {
      if (!from.send(piece)) await new Promise((resolve) => from.addEventListener('drain', resolve, { once: true }))
    }
    await vi.waitFor(() => expect(got).toBe(8 * WINDOW), { timeout: 5_000, interval: 1 })
    expect(answered()).toBeGreaterThanOrEqual(8)
  })

  it('reach a sender whose reader paused and went on', async () => {
    const { from, to } = await streams()
    let got = 0
    to.addEventListener('message', ({ data }) => {
      got += data.byteLength
    })
    from.send(new Uint8Array(10))
    await vi.waitFor(() => expect(got).toBe(10), { interval: 1 })
    to.pause()
    for (let count = 0; count < 16; count++) from.send(new Uint8Array(WINDOW / 8))
    to.resume()
    await vi.waitFor(() => expect(got).toBe(10 + 2 * WINDOW), { timeout: 5_000, interval: 1 })
  })
})
