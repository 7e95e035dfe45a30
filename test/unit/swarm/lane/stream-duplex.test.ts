import type { Stream } from '@libp2p/interface'
import { streamPair } from '@libp2p/utils'
import { expect, it, vi } from 'vitest'
import { streamDuplex } from '../../../../src/swarm/lane/stream-duplex.ts'

async function pair(): Promise<[Stream, Stream]> {
  return await streamPair()
}

it('carries bytes both ways, and the end of each', async () => {
  const [a, b] = (await pair()).map(streamDuplex)
  if (a === undefined || b === undefined) throw new Error('no pair')
  a.end('hello')
  expect(Buffer.concat(await b.toArray()).toString()).toBe('hello')
  b.end('world')
  expect(Buffer.concat(await a.toArray()).toString()).toBe('world')
})

it('keeps nothing of what the writer may use again', async () => {
  const [ours, theirs] = await pair()
  const sent: Uint8Array[] = []
  vi.spyOn(ours, 'send').mockImplementation((data) => {
    sent.push(data.subarray())
    return true
  })
  const buffer = Buffer.from('abc')
  const duplex = streamDuplex(ours).on('error', () => undefined)
  duplex.write(buffer)
  buffer.fill('x')
  expect(Buffer.concat(sent).toString()).toBe('abc')
  theirs.abort(new Error('done'))
})

it('hands nothing more to a stream that still has something to send', async () => {
  const [ours] = await pair()
  const send = vi.spyOn(ours, 'send').mockReturnValue(false)
  const queued = vi.spyOn(ours, 'writeBufferLength', 'get').mockReturnValue(10)
  const duplex = streamDuplex(ours)
  duplex.write('first')
  duplex.write('second')
  // a reader that makes room byte by byte must not make this side queue more and more
  for (let i = 0; i < 10; i += 1) ours.dispatchEvent(new Event('drain'))
  expect(send).toHaveBeenCalledTimes(1)
  queued.mockReturnValue(0)
  ours.dispatchEvent(new Event('idle'))
  await vi.waitFor(() => expect(send).toHaveBeenCalledTimes(2))
  duplex.destroy()
})

it('pauses the stream while nobody reads', async () => {
  const [ours, theirs] = await pair()
  const duplex = streamDuplex(ours)
  theirs.send(Buffer.alloc(300_000))
  await vi.waitFor(() => expect(ours.readStatus).toBe('paused'))
  duplex.resume()
  await vi.waitFor(() => expect(ours.readStatus).toBe('readable'))
  duplex.destroy()
})

it('ends with an error when the stream is reset, and resets it when it is destroyed', async () => {
  const [ours, theirs] = await pair()
  const duplex = streamDuplex(ours)
  const error = new Promise((resolve) => {
    duplex.once('error', resolve)
  })
  theirs.abort(new Error('gone'))
  expect(await error).toBeInstanceOf(Error)
  const [one, other] = await pair()
  streamDuplex(one).destroy()
  await vi.waitFor(() => expect(other.status).not.toBe('open'))
})
