/** @import { TrafficSample } from '../traffic-history.ts' */
import { round, svg } from './dom.js'
import { bytes } from './format.js'

const SAMPLE_MS = 10_000
const BARS = 60
const MIB = 1024 ** 2
const BAR_MS = 60_000
const UP = 120
const DOWN = 46
const LEFT = 58
const BOTTOM = 22

/**
 * Bytes of the last hour by minutes, the present one last: from peers, from the origin, to peers.
 * @param {Iterable<TrafficSample>} samples @param {number} now
 * @returns {[fromPeers: number, fromOrigin: number, toPeers: number][]}
 */
export function byMinute(samples, now) {
  /** @type {[number, number, number][]} */
  const minutes = Array.from({ length: BARS }, () => [0, 0, 0])
  const last = Math.floor(now / BAR_MS)
  for (const [slot, origin, peers, sent] of samples) {
    const minute = minutes[BARS - 1 - last + Math.floor((slot * SAMPLE_MS) / BAR_MS)]
    if (minute === undefined) continue
    minute[0] += peers
    minute[1] += origin
    minute[2] += sent
  }
  return minutes
}

/** Bars upwards for what came, downwards for what was given. @param {ReturnType<typeof byMinute>} minutes @param {number} width @returns {SVGElement} */
export function hourChart(minutes, width) {
  const top = nice(Math.max(...minutes.map(([peers, origin]) => peers + origin), MIB))
  const bottom = Math.max(...minutes.map(([, , sent]) => sent), MIB)
  const hasDown = minutes.some(([, , sent]) => sent > 0)
  const down = hasDown ? DOWN : 0
  const height = UP + down + BOTTOM + 8
  const step = (width - LEFT) / BARS
  const [came, given] = [0, 2].map((at) =>
    minutes.reduce((sum, minute) => sum + (minute[at] ?? 0) + (at === 0 ? minute[1] : 0), 0),
  )
  const label = `In the last hour ${bytes(came ?? 0)} came, ${bytes(given ?? 0)} went to peers`
  const chart = svg('svg', { viewBox: `0 0 ${round(width)} ${height}`, height, role: 'img', 'aria-label': label })
  const zero = UP + 6
  for (const share of [0.5, 1]) {
    const y = zero - share * UP
    chart.append(
      svg('line', { class: 'axis', x1: LEFT, x2: width, y1: y, y2: y }),
      svg('text', { x: LEFT - 8, y: y + 4, 'text-anchor': 'end' }, bytes(top * share)),
    )
  }
  const barWidth = Math.max(1, step - (step > 5 ? 2 : 1))
  minutes.forEach(([peers, origin, sent], index) => {
    const x = LEFT + index * step
    const bar = (/** @type {string} */ kind, /** @type {number} */ y, /** @type {number} */ tall) => {
      if (tall > 0)
        chart.append(
          svg('rect', {
            class: `bar ${kind}`,
            x: round(x),
            width: round(barWidth),
            y: round(y),
            height: Math.max(1, tall),
          }),
        )
    }
    const ofPeers = (peers / top) * UP
    const ofOrigin = (origin / top) * UP
    bar('peer', zero - ofPeers, ofPeers)
    bar('origin', zero - ofPeers - ofOrigin, ofOrigin)
    bar('sent', zero + 1, (sent / bottom) * (down - 4))
  })
  chart.append(svg('line', { class: 'axis zero', x1: LEFT, x2: width, y1: zero, y2: zero }))
  if (hasDown) chart.append(svg('text', { x: LEFT - 8, y: zero + down - 2, 'text-anchor': 'end' }, bytes(bottom)))
  for (const [minutesAgo, anchor] of /** @type {const} */ ([
    [60, 'start'],
    [30, 'middle'],
    [0, 'end'],
  ])) {
    const x = LEFT + ((60 - minutesAgo) / 60) * (width - LEFT)
    const text = minutesAgo === 0 ? 'now' : `${minutesAgo} min ago`
    chart.append(svg('text', { x: round(x), y: height - 4, 'text-anchor': anchor }, text))
  }
  return chart
}

/** The next of 1, 2, 5, 10 … times a power of two units. @param {number} value */
function nice(value) {
  const unit = 1024 ** Math.floor(Math.log(value) / Math.log(1024))
  for (const step of [1, 2, 5, 10, 20, 50, 100, 200, 500, 1024]) if (value <= step * unit) return step * unit
  return value
}
