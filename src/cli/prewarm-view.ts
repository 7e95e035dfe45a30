/** What a prewarm has told so far, and how it looks on a terminal. Pure: events in, lines out. */
import type { PrewarmEvent, PrewarmProgress } from '../prewarm/prewarm-events.ts'
import { counted } from '../util/counted.ts'
import { plain } from './output.ts'
import { type ProgressLook, progressLine, shortDigest, sourcesText } from './progress.ts'

export interface RunningImage {
  readonly image: string
  readonly layers: number
  readonly layersDone: number
  readonly layersFailed: number
  readonly progress: PrewarmProgress
}

type HostEvent = Extract<PrewarmEvent, { type: 'host' }>

export interface PrewarmView {
  /** The one on its way. */
  readonly image: RunningImage | undefined
  /** Those asked for this image, by id. */
  readonly hosts: ReadonlyMap<string, HostEvent>
}

export const NOTHING_YET: PrewarmView = { image: undefined, hosts: new Map() }

const MAX_HOSTS_SHOWN = 12

export function viewAfter(view: PrewarmView, event: PrewarmEvent): PrewarmView {
  const { image } = view
  switch (event.type) {
    case 'image': {
      const { totalBytes, layers } = event
      const progress = { bytes: 0, totalBytes, bytesPerSecond: 0, fromOrigin: 0, fromPeers: 0, layers: [] }
      const begun = { image: event.image, layers: layers.length, layersDone: 0, layersFailed: 0, progress }
      return { image: begun, hosts: new Map() }
    }
    case 'progress':
      return image === undefined ? view : { ...view, image: { ...image, progress: event } }
    case 'layer': {
      if (image === undefined) return view
      const layersFailed = image.layersFailed + (event.outcome === 'failed' ? 1 : 0)
      return { ...view, image: { ...image, layersDone: image.layersDone + 1, layersFailed } }
    }
    case 'image-done':
      return { ...view, image: undefined }
    case 'host':
      return { ...view, hosts: new Map(view.hosts).set(event.peer, event) }
    case 'done':
    default:
      return NOTHING_YET
  }
}

/** What is on its way now. */
export function linesOf({ image, hosts }: PrewarmView, look: ProgressLook): string[] {
  return [...(image === undefined ? [] : imageLines(image, look)), ...hostLines([...hosts.values()], look)]
}

function imageLines({ image, progress, layers, layersDone, layersFailed }: RunningImage, look: ProgressLook): string[] {
  const sources = sourcesText(progress.fromOrigin, progress.fromPeers)
  const failed = layersFailed === 0 ? '' : `, ${layersFailed} failed`
  return [
    progressLine({ name: image, ...progress }, look),
    ...progress.layers.map(({ digest, bytes, size }) =>
      progressLine({ name: shortDigest(digest), bytes, totalBytes: size }, look, 2),
    ),
    `  ${layersDone} of ${counted(layers, 'layer')}${failed}${sources === undefined ? '' : `; ${sources}`}`,
  ]
}

function hostLines(hosts: readonly HostEvent[], look: ProgressLook): string[] {
  if (hosts.length === 0) return []
  const running = hosts.filter(({ state }) => state === 'running')
  const done = hosts.filter(({ state }) => state === 'done').length
  const failed = hosts.length - running.length - done
  const counts = [`${running.length} running`, `${done} done`, ...(failed === 0 ? [] : [`${failed} failed`])]
  const shown = running.slice(0, MAX_HOSTS_SHOWN)
  const more = running.length > shown.length ? [`  … ${running.length - shown.length} more`] : []
  const lines = shown.map(({ address, bytes, totalBytes }) =>
    progressLine({ name: plain(address), bytes, totalBytes: totalBytes || undefined }, look, 2),
  )
  return [`hosts: ${counts.join(', ')}`, ...lines, ...more]
}
