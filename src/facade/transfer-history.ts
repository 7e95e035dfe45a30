import type { TransferView } from '../blob/transfer-view.ts'
import type { EndedTransfer } from './transfers-api.ts'

const MAX_ENDED = 20

export interface TransferHistoryComponents {
  /** Names by which clients asked for the blob. */
  readonly namesOf: (digest: string) => readonly string[]
}

/** The last transfers that are over, as they were at their end. Filled by whoever runs them. */
export class TransferHistory {
  readonly #components: TransferHistoryComponents
  readonly #ended: EndedTransfer[] = []

  constructor(components: TransferHistoryComponents) {
    this.#components = components
  }

  /** @param endedAt milliseconds since the epoch */
  add(view: TransferView, { outcome, endedAt }: Pick<EndedTransfer, 'outcome' | 'endedAt'>): void {
    const names = this.#components.namesOf(view.digest)
    this.#ended.unshift({ ...view, names, readers: 0, bytesPerSecond: 0, outcome, endedAt })
    this.#ended.length = Math.min(this.#ended.length, MAX_ENDED)
  }

  /** The newest first. */
  list(): readonly EndedTransfer[] {
    return [...this.#ended]
  }
}
