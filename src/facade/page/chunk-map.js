/** @import { ChunkMarks } from '../../blob/transfer-view.ts' */
import { round, svg } from './dom.js'

const MARKS = ['missing', 'store', 'origin', 'peer', 'coming']
const WIDTH = 640
const CELL = 10
const GAP = 1.6
const WORDS = {
  peer: 'from peers',
  origin: 'from registries',
  store: 'was here',
  coming: 'arriving',
  missing: 'missing',
}

/** A cell for each chunk, row by row, in the colour of where it came from. */
export class ChunkMap {
  element = svg('svg', { class: 'map', role: 'img', preserveAspectRatio: 'none' })
  /** @type {Map<string, SVGElement>} */
  #paths = new Map(MARKS.map((mark) => [mark, svg('path', { class: mark })]))
  #shown = ''
  #columns

  /** @param {number} columns at most so many in a row */
  constructor(columns) {
    this.#columns = columns
    this.element.append(...this.#paths.values())
  }

  /** @param {readonly ChunkMarks[]} runs */
  update(runs) {
    const now = JSON.stringify(runs)
    if (now === this.#shown) return
    this.#shown = now
    const count = runs.reduce((sum, [, length]) => sum + length, 0)
    const columns = Math.max(1, Math.min(this.#columns, count))
    const rows = Math.max(1, Math.ceil(count / columns))
    // thin cells would be nothing but gaps
    const gap = columns > 100 ? 0 : GAP
    const wide = (WIDTH + gap) / columns
    this.element.setAttribute('viewBox', `0 0 ${WIDTH} ${rows * CELL - GAP}`)
    /** @type {Map<string, string>} */
    const shapes = new Map()
    let index = 0
    for (const [mark, length] of runs) {
      let shape = shapes.get(mark) ?? ''
      for (const end = index + length; index < end; index++) {
        const x = round((index % columns) * wide)
        const y = Math.floor(index / columns) * CELL
        shape += `M${x} ${y}h${round(wide - gap)}v${CELL - GAP}h${round(gap - wide)}z`
      }
      shapes.set(mark, shape)
    }
    for (const [mark, path] of this.#paths) path.setAttribute('d', shapes.get(mark) ?? '')
    this.element.setAttribute('aria-label', describe(runs, count))
  }
}

/** @param {readonly ChunkMarks[]} runs @param {number} count */
function describe(runs, count) {
  if (count === 0) return 'No chunk yet'
  const parts = ['peer', 'origin', 'store', 'coming', 'missing'].flatMap((mark) => {
    const cells = runs.reduce((sum, [other, length]) => sum + (other === mark ? length : 0), 0)
    const share = Math.round((cells / count) * 100)
    return cells === 0
      ? []
      : [`${share === 0 ? 'under 1' : share} % ${WORDS[/** @type {keyof typeof WORDS} */ (mark)]}`]
  })
  return `Chunks: ${parts.join(', ')}`
}
