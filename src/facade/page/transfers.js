/** @import { PageEnded, PageTransfers } from '../page-data.ts' */
/** @import { TransferDetail } from '../transfers-api.ts' */
import { ChunkMap } from './chunk-map.js'
import { byId, html, keyed, setText, show, toggle } from './dom.js'
import { bytes, counted, duration, percent, shortDigest } from './format.js'

const OUTCOMES = { complete: '', failed: 'failed', mismatched: 'refused: wrong bytes', abandoned: 'given up' }

/** @type {WeakMap<Element, { map: ChunkMap, name: Element, amount: Element, facts: Element[] }>} */
const parts = new WeakMap()

/** @param {number} columns */
function create(columns) {
  const map = new ChunkMap(columns)
  const name = html('span', 'name')
  const amount = html('span', 'amount')
  const facts = Array.from({ length: 4 }, () => html('span'))
  facts[0]?.classList.add('mono')
  const item = html('li', '', html('div', 'row', name, amount), map.element, html('div', 'facts', ...facts))
  parts.set(item, { map, name, amount, facts })
  return item
}

/** @param {Pick<TransferDetail, 'names' | 'digest'>} transfer */
function titleOf({ names: [name = 'a blob', ...others] }) {
  return others.length === 0 ? name : `${name} and ${others.length} more`
}

/** @param {HTMLElement} item @param {{ title: string, amount: string, facts: string[], chunkMap: TransferDetail['chunkMap'] }} shown */
function fill(item, { title, amount, facts, chunkMap }) {
  const own = parts.get(item)
  if (own === undefined) return
  setText(own.name, title)
  setText(own.amount, amount)
  own.facts.forEach((fact, index) => setText(fact, facts[index] ?? ''))
  own.map.update(chunkMap)
}

/** @param {PageTransfers} transfers @param {readonly string[]} mirrors */
export function showTransfers({ running, list }, mirrors) {
  keyed(
    byId('running'),
    list,
    ({ digest }) => digest,
    () => create(64),
    (item, transfer) => {
      const { digest, size, verifiedChunks, chunks, readers, bytes: from, bytesPerSecond, chunkMap } = transfer
      const ofSize = size === undefined ? 'asking for its size' : bytes(size)
      fill(item, {
        title: titleOf(transfer),
        amount: size === undefined ? '' : `${percent(verifiedChunks, chunks)} of ${ofSize}`,
        facts: [
          shortDigest(digest),
          bytesPerSecond > 0 ? `${bytes(bytesPerSecond)}/s` : 'waiting',
          sources(from),
          readersOf(readers),
        ],
        chunkMap,
      })
    },
  )
  const hidden = running - list.length
  toggle('more-running', hidden > 0)
  show('more-running', `and ${hidden} more`)
  toggle('nothing-running', running === 0)
  const [mirror] = mirrors
  show(
    'nothing-running',
    mirror === undefined ? 'Nothing.' : `Nothing. What clients pull through ${mirror} shows here while it arrives.`,
  )
}

/** @param {readonly PageEnded[]} ended */
export function showEnded(ended) {
  toggle('ended-title', ended.length > 0)
  keyed(
    byId('ended'),
    ended,
    ({ digest, endedAt }) => `${digest} ${endedAt}`,
    () => create(256),
    (item, transfer) => {
      const { digest, size, outcome, seconds, bytes: from, chunkMap } = transfer
      const what = OUTCOMES[outcome]
      const amount =
        size === undefined ? what : `${what === '' ? '' : `${what}, `}${bytes(size)} in ${duration(seconds * 1000)}`
      fill(item, { title: titleOf(transfer), amount, facts: [shortDigest(digest), sources(from)], chunkMap })
      item.querySelector('.amount')?.classList.toggle('bad', outcome === 'failed' || outcome === 'mismatched')
    },
  )
}

/** @param {TransferDetail['bytes']} from */
export function sources({ peer, origin, store }) {
  const named = [
    peer > 0 && `${bytes(peer)} from peers`,
    origin > 0 && `${bytes(origin)} from registries`,
    store > 0 && `${bytes(store)} was here`,
  ]
  return named.filter(Boolean).join(', ')
}

/** @param {number} readers */
function readersOf(readers) {
  return readers === 0 ? 'nobody waits' : counted(readers, 'reader')
}
