/** The messages that tell a peer about a blob, cut so that each fits. */
import { planChunks } from '../../blob/chunk-plan.ts'
import type { SharedBlob } from '../../blob/ports.ts'
import { ChunkBitmap } from '../encoding/chunk-bitmap.ts'
import {
  type BlobKey,
  MAX_CHUNKS,
  MAX_INDEXES,
  MAX_MESSAGE_BYTES,
  MAX_STATEMENTS,
  type WireMessage,
} from '../protocol/wire-messages.ts'

/** Leaves room in a message for a bitmap and what goes with it. */
const MAX_STATEMENT_BYTES = MAX_MESSAGE_BYTES - 192 * 1024

export function noneMessage({ digest, registry }: BlobKey): WireMessage {
  return { type: 'none', digest, registry }
}

export function fullMessage({ digest, registry }: BlobKey): WireMessage {
  return { type: 'full', digest, registry }
}

/** The state as a whole. Statements that don't fit go ahead: they are needed before the chunks they are about. */
export function haveMessages(
  { digest, registry }: BlobKey,
  view: SharedBlob,
  statements: readonly Uint8Array[],
): WireMessage[] {
  const { count } = planChunks(view.size)
  if (count > MAX_CHUNKS) return [noneMessage({ digest, registry })]
  let bits: Uint8Array | undefined
  if (!view.isComplete) {
    const bitmap = new ChunkBitmap(count)
    for (let index = 0; index < count; index++) if (view.has(index)) bitmap.add(index)
    bits = bitmap.toBytes()
  }
  const batches = batchesOf(statements)
  const last = batches.pop() ?? []
  const ahead = batches.map((batch): WireMessage => moreMessage({ digest, registry }, [], batch))
  return [...ahead, { type: 'have', digest, registry, size: view.size, bits, statements: last }]
}

/** Further chunks, and statements. */
export function moreMessages(
  key: BlobKey,
  indexes: readonly number[],
  statements: readonly Uint8Array[],
): WireMessage[] {
  const messages = batchesOf(statements).map((batch) => moreMessage(key, [], batch))
  for (let at = 0; at < indexes.length; at += MAX_INDEXES) {
    messages.push(moreMessage(key, indexes.slice(at, at + MAX_INDEXES), []))
  }
  const [only, next] = messages
  // the usual case: both in one
  if (messages.length === 2 && only?.type === 'more' && next?.type === 'more') {
    return [moreMessage(key, [...only.indexes, ...next.indexes], [...only.statements, ...next.statements])]
  }
  return messages
}

function moreMessage(
  { digest, registry }: BlobKey,
  indexes: readonly number[],
  statements: readonly Uint8Array[],
): WireMessage {
  return { type: 'more', digest, registry, indexes, statements }
}

function batchesOf(statements: readonly Uint8Array[]): Uint8Array[][] {
  const batches: Uint8Array[][] = []
  let bytes = 0
  for (const encoded of statements) {
    bytes += encoded.length
    const batch = batches.at(-1)
    if (batch === undefined || batch.length === MAX_STATEMENTS || bytes > MAX_STATEMENT_BYTES) {
      batches.push([encoded])
      bytes = encoded.length
    } else batch.push(encoded)
  }
  return batches
}
