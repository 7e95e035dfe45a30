/** The least time in which hosts can have an image, whatever they do (DESIGN.md §6). Rates in bits per second. */

export interface BoundHost {
  readonly upRate: number
  readonly downRate: number
  /** Wants the image; a host that does not may still send it. */
  readonly pulls: boolean
  /** Has all of it from the start. */
  readonly isSeed: boolean
}

export interface BoundInit {
  readonly bytes: number
  readonly originRate: number
  /** Copies after which the origin sends nothing more; 0: it never does. */
  readonly originCopies?: number | undefined
  /** Into each zone but the origin's. */
  readonly borderRate?: number | undefined
  readonly hosts: readonly BoundHost[]
}

/** Seconds from the start of all until the last host has everything. @throws Error when that can never be */
export function physicalBound({ bytes, originRate, originCopies = Infinity, borderRate, hosts }: BoundInit): number {
  const pulling = hosts.filter((host) => host.pulls)
  const seeds = sum(hosts.filter((host) => host.isSeed).map((host) => host.upRate))
  const upload = sum(hosts.map((host) => host.upRate))
  const origin = originCopies > 0 ? originRate : 0
  const bits = 8 * bytes
  const slowest = Math.min(...pulling.map((host) => host.downRate))
  const bound = Math.max(
    // one copy has to leave those who have it
    bits / (origin + seeds),
    bits / slowest,
    (pulling.length * bits) / (origin + upload),
    (Math.max(0, pulling.length - originCopies) * bits) / upload,
    borderRate === undefined ? 0 : bits / borderRate,
  )
  if (pulling.length === 0 || !Number.isFinite(bound)) throw new Error('nobody has the image, or nobody wants it')
  return bound
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
