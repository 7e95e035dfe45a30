import { ShoalError } from '../errors.ts'

/** What a client's configuration does not allow; the message names the file and says what to do. */
export function refused(message: string, cause?: unknown): ShoalError {
  return new ShoalError('SETUP_REFUSED', message, { cause })
}
