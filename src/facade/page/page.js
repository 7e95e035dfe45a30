/** The page: keeps what the agent told, and shows it. */
/** @import { PageMessage, PageSections } from '../page-data.ts' */
import { byId, setText, show, toggle } from './dom.js'
import { bytes, counted, duration, percent } from './format.js'
import { byMinute, hourChart } from './hour-chart.js'
import { listen } from './live.js'
import { shortId } from './short-id.js'
import { swarmPicture } from './swarm-picture.js'
import { showBans, showHour, showPeers, showPulls } from './tables.js'
import { showEnded, showTransfers } from './transfers.js'

const HOUR_SAMPLES = 360
const MOVING_MS = 1_200
const CLOCK_MS = 10_000

/** @type {PageSections | undefined} */
let shown
/** @type {Map<number, PageSections['samples'][number]>} */
const samples = new Map()
/** Milliseconds that the agent's clock is ahead of this one. */
let ahead = 0
/** @type {string | undefined} */
let pageHash
/** @type {Map<string, number>} */
const movedAt = new Map()
let state = 'connecting'
let heardAt = ''

listen({ message: onMessage, state: onState })
setInterval(showTimes, CLOCK_MS)
const resized = new ResizeObserver(() => {
  showPicture()
  showChart()
})
resized.observe(byId('swarm-picture'))
resized.observe(byId('hour-chart'))
// where there is room, tables need no second click
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) showTimes()
})

/** @param {PageMessage} message @param {boolean} isWhole */
function onMessage({ now, ...sections }, isWhole) {
  ahead = now - Date.now()
  heardAt = new Date().toLocaleTimeString()
  if (isWhole) samples.clear()
  const before = shown
  shown = /** @type {PageSections} */ ({ ...before, ...sections })
  for (const sample of sections.samples ?? []) samples.set(sample[0], sample)
  pageHash ??= shown.agent.page
  // another version of the agent speaks to a page of its own
  if (pageHash !== shown.agent.page) return location.reload()
  if (before !== undefined && !isWhole) noteMoves(before, shown)
  if (sections.agent || sections.swarm) showAgent()
  if (sections.store) showStore()
  if (sections.traffic) showTraffic()
  if (sections.transfers || sections.agent) showTransfers(shown.transfers, shown.agent.facade)
  if (sections.ended) showEnded(shown.ended)
  if (sections.pulls || sections.transfers) showPulls(shown, agentNow())
  if (sections.swarm) {
    showPeers(shown.swarm)
    showBans(shown.swarm.bans, agentNow())
  }
  if (sections.swarm || sections.traffic) showPicture()
  if (sections.samples) showChart()
}

/** @param {'live' | 'away'} now */
function onState(now) {
  if (state === now) return
  state = now
  document.body.classList.toggle('away', now === 'away')
  byId('state').dataset['state'] = now
  const since = heardAt === '' ? '' : ` This is from ${heardAt}.`
  show('state-text', now === 'live' ? 'Live' : `The agent does not answer.${since} Trying again…`)
  document.title = now === 'live' ? 'Shoal' : 'Shoal (away)'
}

function agentNow() {
  return Date.now() + ahead
}

/** @param {PageSections} before @param {PageSections} after */
function noteMoves(before, after) {
  const now = performance.now()
  if (after.traffic.fromOrigin > before.traffic.fromOrigin) movedAt.set('origin', now)
  const known = new Map(before.swarm.peers.map((peer) => [peer.id, peer]))
  for (const { id, receivedBytes, sentBytes } of after.swarm.peers) {
    const was = known.get(id)
    if (receivedBytes > (was?.receivedBytes ?? 0)) movedAt.set(`${id}<`, now)
    if (sentBytes > (was?.sentBytes ?? 0)) movedAt.set(`${id}>`, now)
  }
  if (movedAt.size > 0) setTimeout(showPicture, MOVING_MS + 50)
}

function showAgent() {
  if (shown === undefined) return
  const { agent, swarm } = shown
  const id = swarm.id === undefined ? '' : `, peer ${shortId(swarm.id)}`
  const mirror = agent.facade.length === 0 ? 'not listening' : `mirror at ${agent.facade.join(' and ')}`
  setText(byId('who'), `${mirror}${id}`)
  show('peer-count', String(swarm.connected))
  const more =
    swarm.id === undefined
      ? 'takes part in no swarm'
      : swarm.known > swarm.connected
        ? `connected, of ${swarm.known} known`
        : 'connected'
  show('peer-more', swarm.banned > 0 ? `${more}; ${swarm.banned} shut out` : more)
  toggle('peers-details', swarm.peers.length > 0)
  toggle('alone', swarm.peers.length === 0)
  show(
    'alone',
    swarm.id === undefined
      ? 'This agent takes part in no swarm: set swarm.secretFile to share with other hosts.'
      : 'No other agent has been met yet.',
  )
  showTimes()
}

function showStore() {
  if (shown === undefined) return
  const { blobs, bytes: stored, quotaBytes, writable, unusable, dir } = shown.store
  show('stored', bytes(stored))
  show(
    'store-more',
    writable
      ? `of ${bytes(quotaBytes)}, ${counted(blobs, 'blob')}`
      : unusable
        ? `${dir} can't be used: blobs pass through`
        : `${dir} is full, or can't be written: blobs pass through`,
  )
  byId('store-more').classList.toggle('bad', !writable)
  byId('store-bar').setAttribute('width', String(Math.min(100, (stored / Math.max(1, quotaBytes)) * 100)))
}

function showTraffic() {
  if (shown === undefined) return
  const { fromOrigin, fromPeers, toPeers } = shown.traffic
  show('share', percent(fromPeers, fromPeers + fromOrigin))
  show('share-more', `${bytes(fromPeers)} of ${bytes(fromPeers + fromOrigin)} that came`)
  byId('share-bar').setAttribute('width', String((fromPeers / Math.max(1, fromPeers + fromOrigin)) * 100))
  byId('share-bar').parentElement?.classList.toggle('none', fromPeers + fromOrigin === 0)
  show('given', bytes(toPeers))
  show('given-more', 'since the agent started')
}

function showTimes() {
  if (shown === undefined) return
  const now = agentNow()
  const { agent, store, traffic, swarm } = shown
  const wasted = traffic.wasted > 0 ? ` ${bytes(traffic.wasted)} was received for nothing.` : ''
  setText(
    byId('foot'),
    `Shoal ${agent.version}, up ${duration(now - agent.startedAt)}. Store in ${store.dir}.${wasted}`,
  )
  showPulls(shown, now)
  showBans(swarm.bans, now)
  const last = Math.floor(now / 10_000)
  for (const slot of samples.keys()) if (slot <= last - HOUR_SAMPLES) samples.delete(slot)
  showChart()
}

function showPicture() {
  if (shown === undefined) return
  const place = byId('swarm-picture')
  if (place.clientWidth === 0) return
  const now = performance.now()
  for (const [what, at] of movedAt) if (now - at > MOVING_MS) movedAt.delete(what)
  place.replaceChildren(swarmPicture({ ...shown, moving: new Set(movedAt.keys()) }, place.clientWidth))
}

function showChart() {
  const place = byId('hour-chart')
  if (place.clientWidth === 0 || shown === undefined) return
  const minutes = byMinute(samples.values(), agentNow())
  place.replaceChildren(hourChart(minutes, place.clientWidth))
  /** @type {[string, number, number, number][]} */
  const rows = []
  for (let from = 0; from < 60; from += 10) {
    const sum = (/** @type {0 | 1 | 2} */ at) =>
      minutes.slice(50 - from, 60 - from).reduce((total, minute) => total + minute[at], 0)
    rows.push([`${from} to ${from + 10}`, sum(0), sum(1), sum(2)])
  }
  showHour(rows)
}
