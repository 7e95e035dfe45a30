/**
 * The first attempt that comes to something; undefined is nothing. An error for which `isFinal` holds ends it at once,
 * any other one only when no attempt is left.
 * @throws the final error, else the error of the earliest attempt in the list that had one
 */
export function firstGood<T>(
  attempts: readonly Promise<T | undefined>[],
  isFinal: (error: unknown) => boolean,
): Promise<T | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<T | undefined>()
  const errors: { index: number; error: unknown }[] = []
  let left = attempts.length
  const finish = (): void => {
    left -= 1
    if (left > 0) return
    const [earliest] = errors.sort((one, other) => one.index - other.index)
    if (earliest === undefined) resolve(undefined)
    else reject(earliest.error)
  }
  for (const [index, attempt] of attempts.entries()) {
    attempt.then(
      (value) => {
        if (value === undefined) finish()
        else resolve(value)
      },
      (error: unknown) => {
        if (isFinal(error)) reject(error)
        errors.push({ index, error })
        finish()
      },
    )
  }
  if (left === 0) resolve(undefined)
  return promise
}
