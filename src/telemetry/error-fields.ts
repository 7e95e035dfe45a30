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

/** Of the system, SQLite, TLS and HTTP; what JavaScript itself finds wrong (`ERR_INVALID_ARG_TYPE`) is not among them. */
const OUTSIDE = /^(?:E[A-Z0-9]+|ERR_SQLITE_ERROR|ERR_(?:TLS|SSL)_\w+|UND_ERR_\w+)$/

/**
 * What a log says of an error: only fields that are known to hold no credentials, down the chain of causes. The stack
 * only where the error is a surprise: neither one of ours nor its cause from outside.
 */
export function errorFields(error: unknown): unknown {
  return fieldsOf(error, 0, false)
}

function fieldsOf(error: unknown, depth: number, isCauseOfOurs: boolean): unknown {
  if (!(error instanceof Error)) return typeof error === 'object' ? Object.prototype.toString.call(error) : error
  const code = (error as { code?: unknown }).code
  const isOurs = error instanceof ShoalError && error.code !== 'INTERNAL'
  const isExpected = isOurs || (isCauseOfOurs && isFromOutside(error.name, code))
  const fields: ErrorFields = {
    name: error.name,
    message: error.message,
    ...(typeof code === 'string' && { code }),
    ...(error instanceof ShoalError && error.detail !== undefined && { detail: error.detail }),
    ...(!isExpected && error.stack !== undefined && { stack: error.stack }),
    ...(error.cause !== undefined && depth < MAX_CAUSES && { cause: fieldsOf(error.cause, depth + 1, isExpected) }),
  }
  return fields
}

function isFromOutside(name: string, code: unknown): boolean {
  return name === 'TimeoutError' || name === 'AbortError' || (typeof code === 'string' && OUTSIDE.test(code))
}
