/** A client of one pull: manifest by tag, config, then layers, a few at once; checks every digest and keeps nothing. */
import { createHash } from 'node:crypto'
import { Agent, get, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { MANIFEST_ACCEPT } from '../../src/oci/media-type.ts'

const MAX_MANIFEST_BYTES = 4 * 1024 * 1024

export interface PullOrder {
  /** `http://host:port` of whoever is asked. */
  readonly from: string
  readonly repository: string
  readonly tag: string
  /** Layers at once: docker has 3. */
  readonly layersAtOnce: number
  /** An answer in which nothing moves for so long has failed. */
  readonly stallMs: number
}

/** Times are milliseconds since the epoch. */
export interface TimedPull {
  readonly startedAt: number
  /** Of the first layer that had one. */
  readonly firstByteAt: number | undefined
  readonly layers: readonly { readonly digest: string; readonly startedAt: number; readonly endedAt: number }[]
  readonly endedAt: number
  /** Of manifest, config and layers, failed ones included. */
  readonly bytes: number
  /** Nothing is tried twice: a pull with an error has failed. */
  readonly errors: readonly string[]
}

/** Of an answer that is an error. */
const SHOWN_BODY = 500

interface Descriptor {
  readonly digest: string
  readonly size: number
}

export async function timedPull(order: PullOrder): Promise<TimedPull> {
  const base = `${order.from}/v2/${order.repository}`
  const agent = new Agent({ keepAlive: true })
  const startedAt = now()
  const layers: { digest: string; startedAt: number; endedAt: number }[] = []
  const errors: string[] = []
  let bytes = 0
  let firstByteAt: number | undefined

  const fetchBlob = async ({ digest, size }: Descriptor, onData: () => void): Promise<void> => {
    const hash = createHash('sha256')
    let length = 0
    await read(`${base}/blobs/${digest}`, { agent, stallMs: order.stallMs }, (piece) => {
      onData()
      length += piece.length
      bytes += piece.length
      hash.update(piece)
    })
    if (length !== size || digest !== `sha256:${hash.digest('hex')}`) throw new Error(`wrong bytes for ${digest}`)
  }
  const fetchLayers = async (queue: Descriptor[]): Promise<void> => {
    for (let layer = queue.shift(); layer !== undefined; layer = queue.shift()) {
      const begun = now()
      await fetchBlob(layer, () => {
        firstByteAt ??= now()
      })
      layers.push({ digest: layer.digest, startedAt: begun, endedAt: now() })
    }
  }

  try {
    const pieces: Buffer[] = []
    await read(`${base}/manifests/${order.tag}`, { agent, stallMs: order.stallMs }, (piece) => {
      bytes += piece.length
      if (bytes > MAX_MANIFEST_BYTES) throw new Error('a manifest without an end')
      pieces.push(piece)
    })
    const manifest = JSON.parse(Buffer.concat(pieces).toString()) as { config: Descriptor; layers: Descriptor[] }
    const queue = [...manifest.layers]
    const lanes = Array.from({ length: order.layersAtOnce }, () => fetchLayers(queue))
    const ends = await Promise.allSettled([fetchBlob(manifest.config, () => {}), ...lanes])
    for (const end of ends) if (end.status === 'rejected') errors.push(String(end.reason))
  } catch (error) {
    errors.push(String(error))
  }
  agent.destroy()
  return { startedAt, firstByteAt, layers, endedAt: now(), bytes, errors }
}

/** @throws Error when the answer is no 200, is cut, or stalls; whatever `onData` throws */
async function read(
  url: string,
  { agent, stallMs }: { agent: Agent; stallMs: number },
  onData: (piece: Buffer) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const request = get(url, { agent, headers: { accept: MANIFEST_ACCEPT } }, (answer: IncomingMessage) => {
    if (answer.statusCode !== 200) {
      text(answer).then(
        (body) => reject(new Error(`${url}: ${answer.statusCode} ${body.slice(0, SHOWN_BODY)}`)),
        reject,
      )
      return
    }
    answer.on('data', (piece: Buffer) => {
      try {
        onData(piece)
      } catch (error) {
        request.destroy(error as Error)
      }
    })
    answer.on('end', resolve)
    answer.on('error', reject)
  })
  request.on('error', (error) => reject(new Error(`${url}: ${error.message}`, { cause: error })))
  request.setTimeout(stallMs, () => request.destroy(new Error(`nothing moved for ${stallMs} ms`)))
  await promise
}

/** Finer than Date.now(). */
function now(): number {
  return performance.timeOrigin + performance.now()
}
