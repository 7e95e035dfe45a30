import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { describe, expect, it } from 'vitest'
import { bodyPieces } from '../../../src/origin/body-pieces.ts'

async function collect(stream: Readable): Promise<string[]> {
  const pieces: string[] = []
  for await (const piece of bodyPieces(stream)) pieces.push(piece.toString())
  return pieces
}

describe('bodyPieces', () => {
  it('gives the pieces as they came', async () => {
    const stream = new Readable({ read: () => undefined })
    for (const piece of ['a', 'bc', 'd', null]) stream.push(piece)
    expect(await collect(stream)).toEqual(['a', 'bc', 'd'])
  })

  it('throws what the stream fails with', async () => {
    const stream = new Readable({ read: () => stream.destroy(new Error('reset')) })
    await expect(collect(stream)).rejects.toThrow('reset')
  })

  it.each([
    ['failed', new Error('reset'), 'reset'],
    ['was closed', undefined, 'closed before its end'],
  ])('notices that the stream %s before anybody listened', async (_, error, message) => {
    const stream = new Readable({ read: () => undefined })
    const over = finished(stream).catch(() => undefined)
    stream.destroy(error)
    await over
    await expect(collect(stream)).rejects.toThrow(message)
  })

  it('destroys the stream when the reader leaves', async () => {
    const stream = new Readable({ read: () => stream.push('x') })
    for await (const piece of bodyPieces(stream)) {
      expect(piece.toString()).toBe('x')
      break
    }
    expect(stream.destroyed).toBe(true)
  })

  it('holds the stream back while the reader is slow', async () => {
    let pushed = 0
    const stream = new Readable({
      highWaterMark: 1024,
      read: () => {
        pushed += 1024
        stream.push(Buffer.alloc(1024))
      },
    })
    const pieces = bodyPieces(stream)
    await pieces.next()
    expect(pushed).toBeLessThan(1024 * 1024)
    await pieces.return()
  })
})
