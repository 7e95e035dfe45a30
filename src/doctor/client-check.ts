import type { ClientFamily, ClientSighting } from '../facade/client-sightings.ts'
import { formatDuration } from '../util/duration.ts'
import type { AgentView } from './agent-view.ts'
import { type Check, type CheckResult, ok, skip, warn } from './check.ts'

/** What the client's own files say: all it needs, or what is missing. */
export type Configured =
  | { readonly state: 'yes' | 'no'; readonly why?: undefined }
  | { readonly state: 'unreadable'; readonly why: string }

/** `yes`: the client that runs says so; `no`: it has not read its files since they were changed. */
export type InUse =
  | { readonly state: 'yes' | 'unknown' }
  /** @param since when the file was changed, milliseconds since the epoch */
  | { readonly state: 'no'; readonly why: string; readonly since?: number; readonly advice: string }

export interface ClientCheckComponents {
  readonly agent: AgentView
  readonly isInstalled: () => Promise<boolean>
  readonly isConfigured: () => Promise<Configured>
  readonly inUse: (options: { readonly signal: AbortSignal }) => Promise<InUse>
  /** Whether it is there for another program, which pulls by itself; undefined: for nobody else. */
  readonly belongsTo: () => Promise<string | undefined>
  /** Whether this host has another client that pulls through the agent. */
  readonly isAnotherSetUp: () => Promise<boolean>
  readonly now: () => number
}

export interface ClientCheckInit {
  readonly name: 'docker' | 'containerd' | 'podman' | 'crio'
  readonly families: readonly ClientFamily[]
  /** A command that would show it. */
  readonly example: string
}

/**
 * An installed client uses the agent: it says so, or its files do, or it was seen. Nobody can make it pull; when it last did is told.
 */
export function clientCheck(components: ClientCheckComponents, init: ClientCheckInit): Check {
  const { agent, isInstalled, isConfigured, inUse, belongsTo, isAnotherSetUp, now } = components
  const { name, families, example } = init
  return {
    name,
    run: async (options): Promise<CheckResult> => {
      if (!(await isInstalled())) return skip('not installed')
      const seenAt = lastSeenOf((await agent.status())?.clients, families)
      const seen = seenAt === undefined ? undefined : `last seen ${formatDuration(now() - seenAt)} ago`
      const configured = await isConfigured()
      const used = await inUse(options)
      const isUnread = used.state === 'no' && !(seenAt !== undefined && used.since !== undefined && seenAt > used.since)
      if (configured.state === 'yes' && isUnread) return warn(used.why, used.advice)
      if (configured.state === 'yes' || used.state === 'yes')
        return ok(seen === undefined ? `is set up; not seen yet: try \`${example}\`` : `uses the mirror; ${seen}`)
      if (seen !== undefined)
        return ok(`was seen ${seen.replace('last seen ', '')}, though its files do not name the mirror`)
      if (configured.state === 'no') {
        const owner = await belongsTo()
        if (owner !== undefined) return skip(`it is ${owner}'s`)
        if (await isAnotherSetUp()) return skip(`not set up; \`shoal setup ${name}\` does it`)
      }
      const advice = `\`shoal setup ${name} --dry-run\` shows what to change, \`shoal setup ${name}\` does it`
      return warn(configured.why ?? 'does not use the mirror', advice)
    },
  }
}

/** Milliseconds since the epoch; undefined when none of them was seen. */
export function lastSeenOf(
  clients: readonly ClientSighting[] = [],
  families: readonly ClientFamily[],
): number | undefined {
  const seen = clients.filter(({ family }) => families.includes(family))
  return seen.length === 0 ? undefined : Math.max(...seen.map(({ lastSeenAt }) => lastSeenAt))
}
