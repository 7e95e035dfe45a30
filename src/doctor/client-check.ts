import type { ClientFamily, ClientSighting } from '../facade/client-sightings.ts'
import { formatDuration } from '../util/duration.ts'
import type { AgentView } from './agent-view.ts'
import { type Check, type CheckResult, ok, skip, warn } from './check.ts'

/** What the client's own files say: all it needs, or what is missing. */
export type Configured =
  | { readonly state: 'yes' | 'no'; readonly why?: undefined }
  | { readonly state: 'unreadable'; readonly why: string }

export interface ClientCheckComponents {
  readonly agent: AgentView
  readonly isInstalled: () => Promise<boolean>
  readonly isConfigured: () => Promise<Configured>
  readonly now: () => number
}

export interface ClientCheckInit {
  readonly name: 'docker' | 'containerd' | 'podman' | 'crio'
  readonly families: readonly ClientFamily[]
  /** A command that would show it. */
  readonly example: string
}

/**
 * An installed client uses the agent: its files say so, or it was seen. Nobody can make it pull; when it last did is told.
 */
export function clientCheck(components: ClientCheckComponents, init: ClientCheckInit): Check {
  const { agent, isInstalled, isConfigured, now } = components
  const { name, families, example } = init
  return {
    name,
    run: async (): Promise<CheckResult> => {
      if (!(await isInstalled())) return skip('not installed')
      const status = await agent.status()
      const seen = status?.clients?.filter(({ family }) => families.includes(family)) ?? []
      const configured = await isConfigured()
      const last = lastSeen(seen, now())
      if (configured.state === 'yes') return ok(`uses the mirror; ${last ?? `not seen yet: try \`${example}\``}`)
      if (last !== undefined)
        return ok(`was seen ${last.replace('last seen ', '')}, though its files do not name the mirror`)
      const advice = `\`shoal setup ${name} --dry-run\` shows what to change, \`shoal setup ${name}\` does it`
      return warn(configured.why ?? 'does not use the mirror', advice)
    },
  }
}

function lastSeen(seen: readonly ClientSighting[], now: number): string | undefined {
  const at = Math.max(...seen.map(({ lastSeenAt }) => lastSeenAt))
  return seen.length === 0 ? undefined : `last seen ${formatDuration(now - at)} ago`
}
