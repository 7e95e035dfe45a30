/**
 * Milliseconds that a `Retry-After` asks for, or undefined when it is absent or no sense can be made of it.
 * Grammar: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
 * @param now milliseconds since the epoch
 */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined
  if (/^\s*\d{1,9}\s*$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
