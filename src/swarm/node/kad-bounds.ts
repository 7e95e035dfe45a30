/**
 * kad-dht takes over every peer that an answer names, each at some 250 µs, and an answer may name sixty thousand: one member could
 * keep an agent busy for a quarter of a minute. No honest answer names more than these; of others the first count.
 */
import type { KadDHT } from '@libp2p/kad-dht'
import { K } from './libp2p-options.ts'

/** Of providers an agent tells no more than this at once. */
export const MAX_PROVIDERS_TOLD = 32

interface Answer {
  closer: unknown[]
  providers: unknown[]
}

/** What of kad-dht is changed here; it has no option for it. */
interface Network {
  _writeReadMessage(...parameters: unknown[]): Promise<Answer>
  safeDispatchEvent(type: string, detail: unknown): boolean
}

export function boundAnswers(dht: KadDHT): void {
  const { network } = dht as unknown as { network: Network }
  const read = network._writeReadMessage.bind(network)
  const dispatch = network.safeDispatchEvent.bind(network)
  let named = 0
  // it tells of all peers of an answer in one go
  network.safeDispatchEvent = (type, detail) => {
    if (type !== 'peer') return dispatch(type, detail)
    if (named === 0) {
      queueMicrotask(() => {
        named = 0
      })
    }
    named += 1
    return named <= K + MAX_PROVIDERS_TOLD && dispatch(type, detail)
  }
  network._writeReadMessage = async (...parameters) => {
    const answer = await read(...parameters)
    answer.closer = answer.closer.slice(0, K)
    answer.providers = answer.providers.slice(0, MAX_PROVIDERS_TOLD)
    return answer
  }
}
