import type { Clock } from '../util/clock.ts'

/** Programs that pull, told apart as far as they behave and are configured alike. */
export type ClientFamily = 'docker' | 'containerd' | 'buildkit' | 'podman' | 'cri-o' | 'other'

export interface ClientSighting {
  readonly family: ClientFamily
  /** Since the agent started. */
  readonly requests: number
  /** Milliseconds since the epoch. */
  readonly lastSeenAt: number
}

/** Of `shoal doctor`, which is no client: it asks whether one would be answered. */
export const DOCTOR_USER_AGENT = 'shoal-doctor'

/**
 * By what `User-Agent` contains, as the clients were seen to send it; the first that fits. docker with the containerd store names both, and
 * containers/image is what podman, skopeo and buildah say unless they name themselves.
 */
const MARKS: readonly (readonly [mark: string, family: ClientFamily])[] = [
  ['cri-o', 'cri-o'],
  ['buildkit', 'buildkit'],
  ['docker/', 'docker'],
  ['containerd', 'containerd'],
  ['libpod', 'podman'],
  ['podman', 'podman'],
  ['buildah', 'podman'],
  ['skopeo', 'podman'],
  ['containers/', 'podman'],
]
const MAX_LENGTH = 512

export function familyOf(userAgent: string): ClientFamily {
  const text = userAgent.slice(0, MAX_LENGTH).toLowerCase()
  return MARKS.find(([mark]) => text.includes(mark))?.[1] ?? 'other'
}

/** Which clients have asked this agent for something, and when they last did. Called for every request that is not refused. */
export class ClientSightings {
  readonly #clock: Clock
  readonly #seen = new Map<ClientFamily, { requests: number; lastSeenAt: number }>()
  /** Most requests come from few programs. */
  #last: { readonly userAgent: string; readonly family: ClientFamily } = { userAgent: '', family: 'other' }

  #probes = 0

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock
  }

  /** Requests of `shoal doctor` since the agent started. */
  get probes(): number {
    return this.#probes
  }

  note(userAgent = ''): void {
    if (userAgent === DOCTOR_USER_AGENT) {
      this.#probes += 1
      return
    }
    if (userAgent !== this.#last.userAgent) this.#last = { userAgent, family: familyOf(userAgent) }
    const { family } = this.#last
    const seen = this.#seen.get(family) ?? { requests: 0, lastSeenAt: 0 }
    seen.requests += 1
    seen.lastSeenAt = this.#clock()
    this.#seen.set(family, seen)
  }

  /** Seen last first. */
  list(): ClientSighting[] {
    return [...this.#seen]
      .map(([family, { requests, lastSeenAt }]) => ({ family, requests, lastSeenAt }))
      .sort((a, b) => b.lastSeenAt - a.lastSeenAt || (a.family < b.family ? -1 : 1))
  }
}
