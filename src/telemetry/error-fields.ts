import { ShoalError } from '../errors.ts'

const MAX_CAUSES = 5

interface ErrorFields {
  readonly name: string
  readonly message: string
  readonly code?: string
  readonly detail?: unknown
  readonly stack?: string
  readonly cause?: unknown
}

/**
 * What a log says of an error: only fields that are known to hold no credentials, down the chain of causes. The stack
 * only where the error is a surprise.
 */
export function errorFields(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return typeof error === 'object' ? Object.prototype.toString.call(error) : error
  const code = (error as { code?: unknown }).code
  const expected = error instanceof ShoalError && error.code !== 'INTERNAL'
  const fields: ErrorFields = {
    name: error.name,
    message: error.message,
    ...(typeof code === 'string' && { code }),
    ...(error instanceof ShoalError && error.detail !== undefined && { detail: error.detail }),
    ...(!expected && error.stack !== undefined && { stack: error.stack }),
    ...(error.cause !== undefined && depth < MAX_CAUSES && { cause: errorFields(error.cause, depth + 1) }),
  }
  return fields
}
