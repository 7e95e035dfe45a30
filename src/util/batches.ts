export interface BatchesOptions {
  /** About so much waits at most. */
  readonly maxBytes: number
  /** Less than this waits for more, but the first batch and the last, */
  readonly enoughBytes: number
  /** and no longer than so many milliseconds. */
  readonly gatherMs: number
  readonly stop: () => void
}

/**
 * Reads `source` while the consumer is busy with what came before, and gives it everything that has arrived since. Turns many
 * small network reads into few large writes without delaying the first.
 * When the consumer stops early, `stop` is called first, so that a pending read of the source ends.
 */
export async function* batches(
  source: AsyncIterable<Uint8Array>,
  options: BatchesOptions,
): AsyncGenerator<Uint8Array[], void, void> {
  let queue: Uint8Array[] = []
  let queuedBytes = 0
  let end: { readonly error?: unknown } | undefined
  const stopping = new AbortController()
  let arrival = Promise.withResolvers<void>()
  let room = Promise.withResolvers<void>()
  let isFirst = true

  const enough = async (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, options.gatherMs)
    gathered = resolve
    await promise
    gathered = undefined
    clearTimeout(timer)
  }
  let gathered: (() => void) | undefined

  const pump = async (): Promise<void> => {
    try {
      for await (const piece of source) {
        queue.push(piece)
        queuedBytes += piece.length
        arrival.resolve()
        if (queuedBytes >= options.enoughBytes) gathered?.()
        while (queuedBytes >= options.maxBytes && !stopping.signal.aborted) await room.promise
        if (stopping.signal.aborted) break
      }
      end = {}
    } catch (error) {
      end = { error }
    }
    arrival.resolve()
    gathered?.()
  }

  const pumping = pump()
  try {
    for (;;) {
      if (queue.length > 0) {
        if (!isFirst && queuedBytes < options.enoughBytes && end === undefined) await enough()
        isFirst = false
        const batch = queue
        queue = []
        queuedBytes = 0
        room.resolve()
        room = Promise.withResolvers()
        yield batch
      } else if (end !== undefined) {
        if ('error' in end) throw end.error
        return
      } else {
        await arrival.promise
        arrival = Promise.withResolvers()
      }
    }
  } finally {
    stopping.abort()
    if (end === undefined) options.stop()
    room.resolve()
    await pumping
  }
}
