/** Chunks over time for each host, as an SVG. Pure. */

/** One line of an agent's transfer log, with the host it was on. */
export interface ChunkRecord {
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly host: string
  readonly digest: string
  readonly chunk: number
  readonly source: 'origin' | 'peer' | 'store'
  /** Id of the peer, if it is one. */
  readonly peer?: string | undefined
  /** `verified`: it is here and good. `wasted`: it was here already, or wrong. Others are not drawn. */
  readonly event: string
}

export interface PictureInit {
  readonly title: string
  /** Digests of the layers, in the manifest's order, with their number of chunks. */
  readonly layers: readonly { readonly digest: string; readonly chunks: number }[]
  /** In the order of the rows. */
  readonly hosts: readonly string[]
  /** Milliseconds since the epoch. */
  readonly startAt: number
  readonly boundSeconds: number
}

const LEFT = 60
const TOP = 56
const WIDTH = 1000
const RIGHT = 20
const ROW = 48
const GAP = 6
const TICKS = 10
const COLORS = { origin: '#d9480f', peer: '#1971c2', store: '#868e96', wasted: '#e03131' } as const

/** A row for each host: to the right the time, upwards the chunks of the image in their order. */
export function drawChunks(records: readonly ChunkRecord[], init: PictureInit): string {
  const offsets = new Map<string, number>()
  let chunks = 0
  for (const layer of init.layers) {
    offsets.set(layer.digest, chunks)
    chunks += layer.chunks
  }
  const secondsOf = (record: ChunkRecord): number => (record.time - init.startAt) / 1000
  const known = records.filter((record) => offsets.has(record.digest) && record.chunk >= 0)
  const end = known.reduce((latest, record) => Math.max(latest, secondsOf(record)), init.boundSeconds) * 1.02
  const x = (seconds: number): number => LEFT + (Math.max(0, seconds) / end) * WIDTH
  const height = TOP + init.hosts.length * ROW + 30
  const rows = new Map(init.hosts.map((host, index) => [host, TOP + index * ROW] as const))

  const marks = known.flatMap((record) => {
    const top = rows.get(record.host)
    const color = colorOf(record)
    if (top === undefined || color === undefined) return []
    const place = ((offsets.get(record.digest) ?? 0) + record.chunk + 1) / Math.max(1, chunks)
    const y = top + (ROW - GAP) * (1 - Math.min(1, place))
    return [`<rect x="${fixed(x(secondsOf(record)))}" y="${fixed(y)}" width="2" height="2" fill="${color}"/>`]
  })
  const frames = [...rows].map(
    ([host, top]) =>
      `<rect x="${LEFT}" y="${top}" width="${WIDTH}" height="${ROW - GAP}" fill="#f8f9fa"/>` +
      `<text x="${LEFT - 6}" y="${top + ROW / 2}" text-anchor="end">${escape(host)}</text>`,
  )
  const ticks = Array.from({ length: TICKS + 1 }, (_, index) => {
    const seconds = (end / TICKS) * index
    return `<text x="${fixed(x(seconds))}" y="${height - 12}" text-anchor="middle">${seconds.toFixed(1)} s</text>`
  })
  const bound = fixed(x(init.boundSeconds))
  const size = `width="${LEFT + WIDTH + RIGHT}" height="${height}"`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="11">`,
    `<rect ${size} fill="#ffffff"/>`,
    `<text x="${LEFT}" y="18" font-size="14">${escape(init.title)}</text>`,
    ...Object.entries(COLORS).map(([name, color], index) => {
      const left = LEFT + index * 90
      return `<rect x="${left}" y="30" width="8" height="8" fill="${color}"/><text x="${left + 12}" y="38">${name}</text>`
    }),
    ...frames,
    ...marks,
    `<line x1="${bound}" y1="${TOP}" x2="${bound}" y2="${height - 30}" stroke="#2b8a3e" stroke-dasharray="4 3"/>`,
    `<text x="${bound}" y="${TOP - 4}" text-anchor="middle" fill="#2b8a3e">D*</text>`,
    ...ticks,
    '</svg>',
    '',
  ].join('\n')
}

function colorOf({ event, source }: ChunkRecord): string | undefined {
  if (event === 'wasted') return COLORS.wasted
  return event === 'verified' ? COLORS[source] : undefined
}

function fixed(value: number): string {
  return value.toFixed(1)
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
