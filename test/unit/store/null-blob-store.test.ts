import { expect, it } from 'vitest'
import type { BlobStore } from '../../../src/blob/ports.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { NullBlobStore } from '../../../src/store/null-blob-store.ts'

const DIGEST = digestOf('sha256', 'a'.repeat(64))

it('holds nothing and takes nothing', async () => {
  await using store = new NullBlobStore(new Error('cannot be used', { cause: new Error('no such file') }))
  expect(store.unusable).toBe('cannot be used: no such file')
  const port: BlobStore = store
  await store.start()
  expect(port.stat(DIGEST)).toBeUndefined()
  expect(port.partialSize(DIGEST)).toBeUndefined()
  await expect(port.open(DIGEST)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  await expect(port.put(DIGEST, Buffer.alloc(1))).rejects.toMatchObject({ code: 'STORE_FULL' })
  await expect(port.openPartial(DIGEST, 1)).rejects.toMatchObject({ code: 'STORE_FULL' })
  expect(await Array.fromAsync(store.verify())).toHaveLength(2)
})
