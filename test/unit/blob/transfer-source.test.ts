import { expect, it } from 'vitest'
import type { ChunkSource } from '../../../src/blob/ports.ts'
import { TransferSource } from '../../../src/blob/transfer-source.ts'

const ORIGIN: ChunkSource = { kind: 'origin', id: 'origin', open: () => Promise.reject(new Error('nobody opens it')) }

it('a request that is no run takes the place of one until it has ended', () => {
  const source = new TransferSource(ORIGIN, 'origin')
  const maxRuns = (): number => source.view(0, () => true).maxRuns
  const before = maxRuns()
  const ended = source.beside()
  expect(maxRuns()).toBe(before - 1)
  source.takesOneAtATime()
  expect(maxRuns()).toBe(0)
  ended()
  expect(maxRuns()).toBe(1)
})
