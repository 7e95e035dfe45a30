import { createHash } from 'node:crypto'
import { type ChunkPlan, planChunks } from '../../src/blob/chunk-plan.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import type { MessageSizes } from './message-sizes.ts'

/** One layer of the image. */
export class SimLayer {
  readonly index: number
  readonly digest: Digest
  readonly plan: ChunkPlan
  readonly sizes: MessageSizes
  #statements = 0

  constructor(init: {
    readonly index: number
    readonly bytes: number
    readonly seed: string
    readonly sizes: MessageSizes
  }) {
    this.index = init.index
    this.plan = planChunks(init.bytes)
    this.sizes = init.sizes
    this.digest = digestOf('sha256', createHash('sha256').update(`${init.seed} layer ${init.index}`).digest('hex'))
  }

  nextStatement(): number {
    return this.#statements++
  }
}
