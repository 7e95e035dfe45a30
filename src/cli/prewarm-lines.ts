/** What a prewarm leaves on the screen, or in a log: one line for each thing that came to an end. */
import { shortId } from '../facade/page/short-id.js'
import type { PrewarmEvent } from '../prewarm/prewarm-events.ts'
import { formatBytes } from '../util/byte-size.ts'
import { counted, isOrAre } from '../util/counted.ts'
import { formatDuration } from '../util/duration.ts'
import { plain } from './output.ts'
import { secondsLeft, shortDigest, sourcesText } from './progress.ts'

/** @param options.withLayers a line for each layer too @returns undefined for what leaves no line */
export function lineFor(event: PrewarmEvent, { withLayers }: { readonly withLayers: boolean }): string | undefined {
  switch (event.type) {
    case 'image': {
      const { image, digest, platforms, layers, totalBytes } = event
      if (!withLayers) return undefined
      const made = platforms.length === 0 ? '' : ` (${platforms.map(plain).join(', ')})`
      return `${image}: ${digest}${made}, ${counted(layers.length, 'layer')}, ${formatBytes(totalBytes)}`
    }
    case 'layer': {
      const { image, digest, size, outcome, message, fromOrigin, fromPeers } = event
      if (outcome === 'failed') return `${image}: failed ${digest}: ${plain(message ?? '')}`
      if (!withLayers) return undefined
      const sources = sourcesText(fromOrigin, fromPeers)
      const bytes = size === undefined ? '' : `, ${formatBytes(size)}`
      const end = outcome === 'here' ? 'was here' : outcome
      return `${image}: ${end} ${shortDigest(digest)}${bytes}${sources === undefined ? '' : `, ${sources}`}`
    }
    case 'image-done': {
      const { image, ok, message, failedLayers, totalBytes, seconds, fromOrigin, fromPeers } = event
      if (!ok) return `${image}: failed: ${message === undefined ? counted(failedLayers, 'layer') : plain(message)}`
      const sources = sourcesText(fromOrigin, fromPeers) ?? 'all was here'
      return `${image}: done, ${formatBytes(totalBytes)} in ${formatDuration(seconds * 1000)}, ${sources}`
    }
    case 'host': {
      const { image, address, peer, state, message, totalBytes, fromOrigin, fromPeers } = event
      const host = `${plain(address)} (${shortId(peer)})`
      if (state === 'running') return undefined
      if (state === 'failed') return `${image}: ${host} failed: ${plain(message ?? '')}`
      const sources = sourcesText(fromOrigin, fromPeers) ?? 'all was there'
      return `${image}: ${host} done, ${formatBytes(totalBytes)}, ${sources}`
    }
    case 'progress':
    case 'done':
    default:
      return undefined
  }
}

/** Where no bar can be drawn. */
export function progressText(event: Extract<PrewarmEvent, { type: 'progress' }>): string {
  const { image, bytes, totalBytes, bytesPerSecond } = event
  const left = secondsLeft({ name: image, bytes, totalBytes, bytesPerSecond })
  const eta = left === undefined ? '' : `, ${formatDuration(left * 1000)} left`
  return `${image}: ${formatBytes(bytes)} of ${formatBytes(totalBytes)}, ${formatBytes(bytesPerSecond)}/s${eta}`
}

/** @param options.forFleet whether other hosts were meant too */
export function summaryOf(
  event: Extract<PrewarmEvent, { type: 'done' }>,
  { forFleet }: { readonly forFleet: boolean },
): string {
  const { images, failedImages, unknownImages = 0, hosts, failedHosts } = event
  const here = images - failedImages
  const parts = [`${here} of ${counted(images, 'image')} ${isOrAre(images === 1 ? images : here)} here`]
  if (hosts > 0) {
    const one = `${counted(hosts, 'other host')} ${hosts === 1 ? 'has' : 'have'} it`
    parts.push(`${hosts - failedHosts} of ${images === 1 ? one : `${hosts} times another host has one of them`}`)
  } else if (forFleet) {
    parts.push(images > unknownImages ? 'no other host is connected' : 'no other host was asked')
  }
  return `${parts.join(', ')}.`
}
