import type { BanStatus, PeerStatus, PeersAnswer } from '../../facade/admin-api.ts'
import { shortId } from '../../facade/page/short-id.js'
import { formatBytes } from '../../util/byte-size.ts'
import { fromNow, json, plain, table } from '../output.ts'
import type { CommandContext } from './command-context.ts'

const HEAD = ['PEER', 'ADDRESS', 'ZONE', 'VERSION', 'STATE', 'FROM IT', 'TO IT', 'RATE', 'FAULTS']
const NUMBERS = [5, 6, 7, 8]
const BAN_HEAD = ['SHUT OUT', 'BECAUSE IT', 'UNTIL', 'FOUND BY']

const REASONS: Record<BanStatus['reason'], string> = {
  'false-map': 'signed a false map of chunks',
  'false-claim': 'signed a false claim for a chunk',
  'wrong-bytes': 'sent wrong bytes',
  protocol: 'broke the protocol',
}

export async function peers({ client, json: asJson, print }: CommandContext): Promise<void> {
  const answer = await client.peers()
  print(asJson ? json(answer) : describe(answer, Date.now()))
}

function describe({ peers, bans, bootstrap = 0 }: PeersAnswer, now: number): string {
  const banned = new Set(bans.map(({ peer }) => peer))
  const connected = peers.filter((peer) => peer.isConnected).length
  const total = `${connected} connected, ${bans.length} shut out\n`
  const parts: string[] = []
  if (peers.length > 0) {
    const rows = [...peers].sort(byUse).map((peer) => row(peer, banned.has(peer.id)))
    parts.push(table(HEAD, rows, NUMBERS))
  }
  if (bans.length > 0) {
    const rows = [...bans].sort((a, b) => b.since - a.since).map((ban) => banRow(ban, now))
    parts.push(table(BAN_HEAD, rows))
  }
  const hint =
    connected === 0 && bootstrap > 0 ? 'Nobody is connected, though swarm.bootstrap is set: see `shoal doctor`.\n' : ''
  return `${parts.length === 0 ? 'No other agents.\n' : `${parts.join('\n')}\n${total}`}${hint}`
}

/** Connected ones first, then those that more bytes went to or came from. */
function byUse(a: PeerStatus, b: PeerStatus): number {
  const bytes = (peer: PeerStatus): number => peer.receivedBytes + peer.sentBytes
  return Number(b.isConnected) - Number(a.isConnected) || bytes(b) - bytes(a) || (a.id < b.id ? -1 : 1)
}

function row(peer: PeerStatus, isBanned: boolean): string[] {
  const { id, address, zone, version, bytesPerSecond, receivedBytes, sentBytes, faults } = peer
  const state = peer.isConnected ? 'connected' : 'gone'
  return [
    shortId(id),
    plain(address),
    plain(zone) || '-',
    plain(version),
    isBanned ? 'shut out' : state,
    formatBytes(receivedBytes),
    formatBytes(sentBytes),
    bytesPerSecond === undefined || !peer.isConnected ? '' : `${formatBytes(bytesPerSecond)}/s`,
    String(faults),
  ]
}

function banRow({ peer, reason, until, fromPeer }: BanStatus, now: number): string[] {
  return [
    shortId(peer),
    REASONS[reason],
    fromNow(until, now),
    fromPeer === undefined ? 'this agent' : shortId(fromPeer),
  ]
}
