/**
 * The outcome of `work`, or the signal's reason as soon as it aborts, whether or not `work` heeds it.
 * @param dispose is given a result that comes too late
 */
export async function raceAbort<T>(work: Promise<T>, signal: AbortSignal, dispose?: (late: T) => void): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason)
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  let late = true
  try {
    const result = await Promise.race([work, aborted])
    late = false
    return result
  } finally {
    signal.removeEventListener('abort', onAbort)
    if (late) work.then(dispose, () => {})
  }
}
