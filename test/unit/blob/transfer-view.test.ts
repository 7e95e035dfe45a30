import { describe, expect, it } from 'vitest'
import type { TransferView } from '../../../src/blob/transfer-view.ts'
import { FakePeer, statementOf } from '../../fakes/fake-swarm.ts'
import { readAll, TransferWorld } from '../../fakes/transfer-world.ts'
import { randomBytesOf } from '../../fixtures/random-bytes.ts'

const CHUNK = 256 * 1024
const BLOB = randomBytesOf('transfer view', 20 * CHUNK + 1234)

const marks = ({ chunkMap }: TransferView): string[] => [...new Set(chunkMap.map(([mark]) => mark))]
const count = ({ chunkMap }: TransferView): number => chunkMap.reduce((sum, [, length]) => sum + length, 0)

async function begun(world: TransferWorld) {
  const transfer = world.transfer()
  await transfer.begin(world.origin, world.beginning())
  return { transfer, reader: transfer.openReader() }
}

describe('the map of chunks', () => {
  it('is empty while the size is not known', () => {
    expect(new TransferWorld(BLOB).transfer().view()).toMatchObject({
      size: undefined,
      chunkBytes: undefined,
      chunkMap: [],
      bytes: { store: 0, origin: 0, peer: 0 },
    })
  })

  it('shows what is here, on its way and missing while it arrives from the origin', async () => {
    const world = new TransferWorld(BLOB, { origin: { pieceMs: 2 } })
    const { transfer, reader } = await begun(world)
    await expect.poll(() => marks(transfer.view()), { interval: 1 }).toEqual(['origin', 'coming', 'missing'])
    const view = transfer.view()
    expect(view).toMatchObject({ registry: 'registry.test', size: BLOB.length, readers: 1, chunkBytes: CHUNK })
    expect(count(view)).toBe(21)
    expect(view.bytesPerSecond).toBeGreaterThan(0)
    await readAll(reader)
    await reader.close()
    await transfer.ended
    expect(transfer.view()).toMatchObject({ chunkMap: [['origin', 21]], bytes: { origin: BLOB.length, peer: 0 } })
  })

  it('tells chunks from peers', async () => {
    const world = new TransferWorld(BLOB, { origin: { firstByteMs: 500 } })
    for (const id of ['a', 'b']) world.swarm.add(new FakePeer(id, BLOB), statementOf(id, world.digest, BLOB))
    const { transfer, reader } = await begun(world)
    await readAll(reader)
    await reader.close()
    await transfer.ended
    expect(transfer.view()).toMatchObject({ chunkMap: [['peer', 21]], bytes: { origin: 0, peer: BLOB.length } })
  })

  it('tells what an earlier transfer had left', async () => {
    const world = new TransferWorld(BLOB, { origin: { pieceMs: 2 } })
    const first = await begun(world)
    await expect.poll(() => first.transfer.progress.verified, { interval: 1 }).toBeGreaterThan(3)
    await first.transfer.stop()
    await first.reader.close()
    const { transfer, reader } = await begun(world)
    await readAll(reader)
    await reader.close()
    await transfer.ended
    const view = transfer.view()
    expect(marks(view)).toEqual(['store', 'origin'])
    expect(view.bytes.store).toBeGreaterThan(3 * CHUNK)
    expect(view.bytes.store + view.bytes.origin).toBeGreaterThanOrEqual(BLOB.length)
  })
})
