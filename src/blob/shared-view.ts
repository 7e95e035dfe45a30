/** What peers may see of a transfer under way. */
import { ShoalError } from '../errors.ts'
import { chunkAt, chunkEnd } from './chunk-plan.ts'
import type { Filling } from './filling.ts'
import type { BlobReader, SharedBlob } from './ports.ts'

export function sharedView(filling: Filling, isComplete: boolean): SharedBlob {
  const { partial, book } = filling
  return {
    digest: partial.digest,
    size: partial.plan.size,
    isComplete,
    has: (index) => filling.sharedHash(index) !== undefined,
    statements: book.statements,
    claims: partial.plan.count > 1 ? book.own : new Map(),
  }
}

/** A read gives what is verified from its position on, and fails where that is nothing. */
export function readShared(filling: Filling, onClose: () => void): BlobReader {
  const { partial } = filling
  const { plan, digest } = partial
  let isOpen = true
  return {
    digest,
    size: plan.size,
    read: async (target, position, { signal }) => {
      signal.throwIfAborted()
      if (position >= plan.size) return 0
      const first = chunkAt(plan, position)
      const hashes: string[] = []
      let index = first
      while (index < plan.count && (index === first || chunkEnd(plan, index - 1) < position + target.length)) {
        const hash = isOpen ? filling.sharedHash(index) : undefined
        if (hash === undefined) break
        hashes.push(hash)
        index += 1
      }
      if (hashes.length === 0)
        throw new ShoalError('BLOB_UNKNOWN', 'the chunk is not here', { detail: { digest, position } })
      const length = Math.min(target.length, chunkEnd(plan, index - 1) - position)
      const count = await partial.read(target.subarray(0, length), position)
      // What turned out false meanwhile is being replaced: it must not be given away as good.
      if (hashes.some((hash, at) => filling.sharedHash(first + at) !== hash)) {
        throw new ShoalError('BLOB_UNKNOWN', 'the chunk is not here any more', { detail: { digest, position } })
      }
      return count
    },
    close: async () => {
      if (isOpen) onClose()
      isOpen = false
    },
  }
}
