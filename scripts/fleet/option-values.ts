/** Values of options: what they may look like. Every function throws UsageError with the option's name. */
import { parseBitRate } from './bit-rate.ts'

/** An option that cannot be used; the message is for the user. */
export class UsageError extends Error {}

export function oneOf<T extends string>(name: string, text: string, all: readonly T[]): T {
  const found = all.find((one) => one === text)
  if (found === undefined) throw new UsageError(`--${name} ${text}: there are ${all.join(', ')}`)
  return found
}

export function some<T>(name: string, text: string, parse: (text: string) => T | undefined): T | undefined {
  return text === '' ? undefined : parsed(name, text, parse)
}

export function parsed<T>(name: string, text: string, parse: (text: string) => T | undefined): T {
  const value = parse(text)
  if (value === undefined) throw new UsageError(`--${name} ${text}: not understood`)
  return value
}

export function integer(name: string, text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw new UsageError(`--${name} ${text}: expected a number from ${least} to ${most}`)
}

export function decimal(name: string, text: string): number {
  return parsed(name, text, (text) => (/^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined))
}

/** `4@33%`, `1@0.1` */
export function parseShare(text: string): { count: number; share: number } | undefined {
  const [, count, number, percent] = /^(\d+)@(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? []
  const share = Number(number) / (percent === '%' ? 100 : 1)
  return count !== undefined && share > 0 && share <= 1 ? { count: Number(count), share } : undefined
}

/** `2@20mbit` */
export function parseZones(text: string): { count: number; rate: number } | undefined {
  const [, count, rate] = /^(\d+)@(.+)$/.exec(text) ?? []
  const bits = rate === undefined ? undefined : parseBitRate(rate)
  return bits !== undefined && Number(count) >= 2 ? { count: Number(count), rate: bits } : undefined
}
