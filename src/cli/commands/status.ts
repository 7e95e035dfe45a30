import type { AgentStatus } from '../../facade/admin-api.ts'
import { formatBytes } from '../../util/byte-size.ts'
import { counted } from '../../util/counted.ts'
import { formatDuration } from '../../util/duration.ts'
import { ago, facts, json, table } from '../output.ts'
import type { CommandContext } from './command-context.ts'

type Fact = [name: string, value: string]

export async function status({ client, json: asJson, print }: CommandContext): Promise<void> {
  const now = await client.status()
  print(asJson ? json(now) : describe(now))
}

function describe(now: AgentStatus): string {
  const { version, ready, uptimeSeconds, listening, store, transfers, traffic } = now
  const summary = facts([
    ['Agent', `shoal ${version}, ${ready ? 'ready' : 'not ready'}, up ${formatDuration(uptimeSeconds * 1_000)}`],
    ['Mirror', listening.facade.join(', ') || 'not listening'],
    ['Admin', listening.admin.join(', ')],
    ...swarmFacts(now),
    ...storeFacts(store),
    [
      'Received',
      `${formatBytes(traffic.fromOrigin)} from registries, ${formatBytes(traffic.fromPeers)} from peers${wasted(traffic)}`,
    ],
    ['Sent', `${formatBytes(traffic.toPeers)} to peers`],
    ['Clients', seen(now)],
    ['Transfers', transfers.length === 0 ? 'none' : `${transfers.length} running`],
  ])
  if (transfers.length === 0) return summary
  const rows = transfers.map(({ digest, size, verifiedChunks, chunks, readers }) => [
    digest,
    size === undefined ? '?' : formatBytes(size),
    `${verifiedChunks}/${chunks}`,
    String(readers),
  ])
  return `${summary}\n${table(['DIGEST', 'SIZE', 'CHUNKS', 'READERS'], rows, [1, 2, 3])}`
}

function storeFacts({ dir, blobs, bytes, quotaBytes, writable, unusable }: AgentStatus['store']): Fact[] {
  if (unusable !== undefined) {
    return [
      ['Store', `none: ${unusable}`],
      ['Blobs', 'nothing is stored: all are passed through'],
    ]
  }
  const share = quotaBytes > 0 ? ` (${Math.round((bytes / quotaBytes) * 100)} %)` : ''
  return [
    ['Store', `${dir}${writable ? '' : ' (full, or cannot be written: blobs are passed through, not kept)'}`],
    ['Blobs', `${blobs}, ${formatBytes(bytes)} of ${formatBytes(quotaBytes)}${share}`],
  ]
}

/** Those seen last first. */
function seen({ clients = [] }: AgentStatus): string {
  const now = Date.now()
  return clients.map(({ family, lastSeenAt }) => `${family} ${ago(lastSeenAt, now)}`).join(', ') || 'none seen'
}

function wasted({ wasted }: AgentStatus['traffic']): string {
  return wasted === 0 ? '' : ` (${formatBytes(wasted)} of it for nothing)`
}

function swarmFacts({ swarm, listening }: AgentStatus): Fact[] {
  if (swarm === undefined) return [['Swarm', 'none: this agent is on its own']]
  if (listening.swarm.length === 0) {
    return [
      ['Swarm', 'none: no swarm.secretFile, swarm.allowPeers or swarm.open, so this agent shares with nobody'],
      ['Id', swarm.id],
    ]
  }
  const bans = swarm.banned === 0 ? '' : `, ${swarm.banned} shut out`
  return [
    ['Swarm', `${counted(swarm.connected, 'peer')} connected${bans}`],
    ['Id', swarm.id],
    ['Listening', `${listening.swarm.join(', ') || 'nowhere'}; lane ${listening.lane.join(', ') || 'none'}`],
  ]
}
