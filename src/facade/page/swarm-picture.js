/** @import { PagePeer, PageSwarm, PageSections } from '../page-data.ts' */
import { round, svg } from './dom.js'
import { bytes, counted } from './format.js'
import { shortId } from './short-id.js'

const MAX_LABELS = 14
const MAX_ZONES = 10
/** Between the peers and the line around those of one zone. */
const ARC = 18
const WIDEST = 9
/** Of the ring, in radians, that the registries have to themselves, at the top. */
const REGISTRY_ANGLE = 0.9
const ZONE_GAP = 0.18

/** @typedef {{ peer: PagePeer, angle: number }} Placed */

/**
 * Where peers stand: by zone, in a fixed order within it, so that nobody moves while bytes do.
 * @param {readonly PagePeer[]} peers @param {boolean} hasRegistry
 * @returns {{ placed: Placed[], zones: { name: string, from: number, to: number }[] }}
 */
export function placePeers(peers, hasRegistry) {
  const sorted = [...peers].sort((a, b) => compare(a.zone, b.zone) || compare(a.id, b.id))
  const names = [...new Set(sorted.map(({ zone }) => zone))]
  const reserved = hasRegistry ? REGISTRY_ANGLE : 0
  const gaps = names.length > 1 ? names.length * ZONE_GAP : 0
  const step = (2 * Math.PI - reserved - gaps) / Math.max(1, sorted.length)
  /** @type {Placed[]} */
  const placed = []
  const zones = names.map((name) => ({ name, from: 0, to: 0 }))
  let angle = -Math.PI / 2 + reserved / 2
  for (const zone of zones) {
    angle += gaps / names.length / 2
    zone.from = angle
    for (const peer of sorted) {
      if (peer.zone !== zone.name) continue
      placed.push({ peer, angle: angle + step / 2 })
      angle += step
    }
    zone.to = angle
    angle += gaps / names.length / 2
  }
  return { placed, zones }
}

/**
 * This agent in the middle, its peers around it, bytes as the width of lines.
 * @param {object} shown
 * @param {PageSwarm} shown.swarm @param {PageSections['traffic']} shown.traffic
 * @param {ReadonlySet<string>} shown.moving ids of peers with `<` or `>` behind, and `origin`: what has changed just now
 * @param {number} width @returns {SVGElement}
 */
export function swarmPicture({ swarm, traffic, moving }, width) {
  const { peers } = swarm
  const height = Math.round(Math.min(Math.max(300, width * 0.82), 440))
  const [cx, cy] = [width / 2, height / 2]
  const { placed, zones } = placePeers(peers, true)
  // names of zones, or ids beside the peers, take their room
  const hasLabels = peers.length <= MAX_LABELS && zones.length === 1
  const hasZones = zones.length > 1 && zones.length <= MAX_ZONES
  const [rx, ry] = [Math.min(cx - (hasZones ? 84 : hasLabels ? 84 : 26), 230), cy - (hasZones ? 46 : 36)]
  const picture = svg('svg', {
    viewBox: `0 0 ${round(width)} ${height}`,
    height,
    role: 'img',
    'aria-label': describe(swarm, traffic),
  })
  const at = (/** @type {number} */ angle, scale = 1) => ({
    x: cx + Math.cos(angle) * rx * scale,
    y: cy + Math.sin(angle) * ry * scale,
  })
  const most = Math.max(
    1,
    traffic.fromOrigin,
    ...peers.flatMap(({ receivedBytes, sentBytes }) => [receivedBytes, sentBytes]),
  )
  const widthOf = (/** @type {number} */ count) => 1.5 + (WIDEST - 1.5) * Math.sqrt(count / most)

  if (hasZones)
    for (const { name, from, to } of zones) {
      const out = (/** @type {number} */ angle, /** @type {number} */ by) => ({
        x: cx + Math.cos(angle) * (rx + by),
        y: cy + Math.sin(angle) * (ry + by),
      })
      const [a, b] = [out(from, ARC), out(to, ARC)]
      const isLarge = to - from > Math.PI ? 1 : 0
      const arc = `A${round(rx + ARC)} ${round(ry + ARC)} 0 ${isLarge} 1 ${round(b.x)} ${round(b.y)}`
      const angle = (from + to) / 2
      const { x, y } = out(angle, ARC + 9)
      const side = Math.cos(angle)
      const anchor = Math.abs(side) < 0.3 ? 'middle' : side < 0 ? 'end' : 'start'
      picture.append(
        svg('path', { class: 'zone', d: `M${round(a.x)} ${round(a.y)}${arc}` }),
        svg(
          'text',
          { x: round(x), y: round(y + 4 + Math.sin(angle) * 6), 'text-anchor': anchor },
          shortZone(name),
          svg('title', {}, name || 'no zone'),
        ),
      )
    }

  const links = svg('g')
  const nodes = svg('g')
  const link = (
    /** @type {{ x: number, y: number }} */ from,
    /** @type {{ x: number, y: number }} */ to,
    /** @type {string} */ kind,
    /** @type {number} */ count,
    /** @type {boolean} */ isMoving,
  ) => {
    // the two directions lie side by side
    const long = Math.hypot(to.x - from.x, to.y - from.y) || 1
    const beside = kind === 'origin' ? 0 : widthOf(count) / 2 + 0.7
    const [dx, dy] = [(-(to.y - from.y) / long) * beside, ((to.x - from.x) / long) * beside]
    const ends = { x1: round(from.x + dx), y1: round(from.y + dy), x2: round(to.x + dx), y2: round(to.y + dy) }
    links.append(svg('line', { class: `link ${kind}`, 'stroke-width': round(widthOf(count)), ...ends }))
    if (isMoving) links.append(svg('line', { class: 'flow', ...ends }))
  }
  const self = { x: cx, y: cy }
  const registry = at(-Math.PI / 2)
  if (traffic.fromOrigin > 0) link(registry, self, 'origin', traffic.fromOrigin, moving.has('origin'))
  else links.append(svg('line', { class: 'link idle', x1: registry.x, y1: registry.y, x2: cx, y2: cy }))
  nodes.append(
    svg('rect', {
      class: 'node registry',
      x: round(registry.x - 8),
      y: round(registry.y - 8),
      width: 16,
      height: 16,
      rx: 4,
    }),
    svg('text', { x: round(registry.x), y: round(registry.y - 14), 'text-anchor': 'middle' }, 'registries'),
  )
  for (const { peer, angle } of placed) {
    const { id, isConnected, isBanned, receivedBytes, sentBytes } = peer
    const place = at(angle)
    if (receivedBytes > 0) link(place, self, 'peer', receivedBytes, moving.has(`${id}<`))
    if (sentBytes > 0) link(self, place, 'sent', sentBytes, moving.has(`${id}>`))
    if (isConnected && receivedBytes + sentBytes === 0)
      links.append(svg('line', { class: 'link idle', x1: round(place.x), y1: round(place.y), x2: cx, y2: cy }))
    nodes.append(nodeOf(peer, place, placed.length > 30 ? 5 : 8))
    if (!hasLabels) continue
    const isSide = Math.abs(Math.cos(angle)) > 0.35
    const x = isSide ? place.x + Math.sign(Math.cos(angle)) * 14 : place.x
    const y = isSide ? place.y + 4 : place.y + (Math.sin(angle) > 0 ? 23 : -15)
    const anchor = isSide ? (place.x < cx ? 'end' : 'start') : 'middle'
    const label = { class: isBanned ? 'mono strong' : 'mono', x: round(x), y: round(y), 'text-anchor': anchor }
    nodes.append(svg('text', label, shortId(id)))
  }
  nodes.append(
    svg('circle', { class: 'node self', cx, cy, r: 15 }),
    svg('text', { class: 'strong', x: cx, y: cy + 34, 'text-anchor': 'middle' }, 'this agent'),
  )
  picture.append(links, nodes)
  return picture
}

/** @param {PagePeer} peer @param {{ x: number, y: number }} at @param {number} r */
function nodeOf({ id, zone, address, isConnected, isBanned, receivedBytes, sentBytes }, { x, y }, r) {
  const kind = isBanned ? 'banned' : isConnected ? 'connected' : 'gone'
  const group = svg('g', {}, svg('circle', { class: `node ${kind}`, cx: round(x), cy: round(y), r }))
  if (isBanned) {
    const d = r * 0.45
    group.append(
      svg('path', {
        class: 'cross',
        d: `M${round(x - d)} ${round(y - d)}l${2 * d} ${2 * d}m0 ${-2 * d}l${-2 * d} ${2 * d}`,
      }),
    )
  }
  const state = isBanned ? 'shut out' : isConnected ? 'connected' : 'gone'
  const where = [zone, address].filter(Boolean).join(', ')
  group.append(
    svg('title', {}, `${shortId(id)} (${state}) ${where}\nfrom it ${bytes(receivedBytes)}, to it ${bytes(sentBytes)}`),
  )
  return group
}

/** @param {string} name */
function shortZone(name) {
  return name === '' ? 'no zone' : name.length > 9 ? `${name.slice(0, 8)}…` : name
}

/** @param {PageSwarm} swarm @param {PageSections['traffic']} traffic */
function describe({ connected, banned }, { fromOrigin, fromPeers, toPeers }) {
  const shut = banned > 0 ? `, ${banned} shut out` : ''
  return `This agent and ${counted(connected, 'connected peer')}${shut}: ${bytes(fromPeers)} came from peers, ${bytes(fromOrigin)} from registries, ${bytes(toPeers)} went to peers`
}

/** @param {string} a @param {string} b */
function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0
}
