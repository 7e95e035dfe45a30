import { ShoalError } from '../errors.ts'

const NO_ROOM = new Set(['ENOSPC', 'EDQUOT', 'EROFS'])

/** `ENOENT` and its like; undefined for an error that no system call gave. */
export function errnoOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  return typeof code === 'string' ? code : undefined
}

/** An error of ours stays; no room or a read-only disk is STORE_FULL, everything else STORE_FAILED. */
export function toStoreError(error: unknown, message: string): ShoalError {
  if (error instanceof ShoalError) return error
  const errno = errnoOf(error)
  const code = errno !== undefined && NO_ROOM.has(errno) ? 'STORE_FULL' : 'STORE_FAILED'
  return new ShoalError(code, message, { cause: error, detail: errno === undefined ? {} : { errno } })
}

/** Runs a piece of file work and turns its errors into ours. @throws ShoalError STORE_FULL, STORE_FAILED */
export async function storing<T>(message: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw toStoreError(error, message)
  }
}
