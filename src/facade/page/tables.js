/** @import { BanStatus } from '../admin-api.ts' */
/** @import { PageSections, PageSwarm } from '../page-data.ts' */
import { byId, html, keyed, setText, svg, toggle } from './dom.js'
import { ago, bytes, counted, duration } from './format.js'
import { shortId } from './short-id.js'
import { sources } from './transfers.js'

const REASONS = {
  'false-map': 'signed a false map of chunks',
  'false-claim': 'signed a false claim for a chunk',
  'wrong-bytes': 'sent wrong bytes',
  protocol: 'broke the protocol',
}

/** @param {number} columns */
function createRow(columns) {
  const head = html('th', 'mono')
  head.setAttribute('scope', 'row')
  return html('tr', '', head, ...Array.from({ length: columns - 1 }, () => html('td')))
}

/** @param {HTMLElement} row @param {readonly string[]} cells */
function fillRow(row, cells) {
  cells.forEach((cell, index) => {
    const element = row.children[index]
    if (element !== undefined) setText(element, cell)
  })
}

/** @param {PageSwarm} swarm */
export function showPeers({ peers }) {
  keyed(
    byId('peers'),
    peers,
    ({ id }) => id,
    () => createRow(7),
    (row, peer) => {
      const state = peer.isBanned ? 'shut out' : peer.isConnected ? 'connected' : 'gone'
      const { id, zone, receivedBytes, sentBytes, faults, address } = peer
      fillRow(row, [shortId(id), zone || '–', state, bytes(receivedBytes), bytes(sentBytes), String(faults), address])
    },
  )
}

/** @param {readonly (readonly [minutesAgo: string, fromPeers: number, fromOrigin: number, toPeers: number])[]} rows */
export function showHour(rows) {
  keyed(
    byId('hour-rows'),
    rows,
    ([label]) => label,
    () => createRow(4),
    (row, [label, ...counts]) => {
      fillRow(row, [label, ...counts.map(bytes)])
    },
  )
}

/** @param {readonly BanStatus[]} bans @param {number} now */
export function showBans(bans, now) {
  toggle('no-bans', bans.length === 0)
  const create = () =>
    html('li', '', html('div', 'row', html('span', 'name mono'), html('span', 'amount bad')), html('p', 'facts'))
  keyed(
    byId('bans'),
    bans,
    ({ peer }) => peer,
    create,
    (item, { peer, reason, since, until, fromPeer }) => {
      const found = fromPeer === undefined ? 'found out here' : `shown by ${shortId(fromPeer)}, and checked`
      const [name, why, more] = item.querySelectorAll('.name, .amount, .facts')
      if (name) setText(name, shortId(peer))
      if (why) setText(why, REASONS[reason] ?? reason)
      if (more) setText(more, `${ago(now - since)}, ${found}; for ${duration(Math.max(0, until - now))} more`)
    },
  )
}

/**
 * What is on its way counts for the pull that asked for it.
 * @param {Pick<PageSections, 'pulls' | 'transfers'>} shown @param {number} now
 */
export function showPulls({ pulls, transfers }, now) {
  toggle('no-pulls', pulls.length === 0)
  const bar = () => svg('rect', { height: 4 })
  const create = () => {
    const split = svg('svg', {
      class: 'split',
      viewBox: '0 0 100 4',
      preserveAspectRatio: 'none',
      'aria-hidden': 'true',
    })
    split.append(svg('rect', { class: 'rest', width: 100, height: 4 }), bar(), bar(), bar())
    const row = html('div', 'row', html('span', 'name'), html('span', 'amount'))
    return html('li', '', row, split, html('p', 'facts'))
  }
  keyed(
    byId('pulls'),
    pulls,
    ({ image, digest }) => `${image} ${digest}`,
    create,
    (item, pull) => {
      const { image, at, size, blobs, done, isStale } = pull
      const from = { ...pull.bytes }
      for (const { names, bytes: arrived } of done < blobs ? transfers.list : []) {
        if (!names.includes(image)) continue
        from.peer += arrived.peer
        from.origin += arrived.origin
        from.store += arrived.store
      }
      const [name, amount, facts] = item.querySelectorAll('.name, .amount, .facts')
      if (name) setText(name, image)
      if (amount) setText(amount, bytes(size))
      const parts = [
        ago(now - at),
        `${done} of ${counted(blobs, 'blob')}`,
        sources(from),
        isStale ? 'tag as last seen: the registry was away' : '',
      ]
      if (facts) setText(facts, parts.filter(Boolean).join(' · '))
      let x = 0
      const whole = Math.max(size, from.peer + from.origin + from.store, 1)
      item.querySelectorAll('.split rect:not(.rest)').forEach((rect, index) => {
        const kind = /** @type {const} */ (['peer', 'origin', 'store'])[index] ?? 'store'
        const width = (from[kind] / whole) * 100
        rect.setAttribute('class', kind)
        rect.setAttribute('x', String(x))
        rect.setAttribute('width', String(width))
        x += width
      })
    },
  )
}
