import { Counter, Histogram, type Registry } from '@prometheus-io/client'

const ANSWER_SECONDS = [0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

type Asked = 'manifest' | 'blob' | 'list' | 'token'

/** What the client of the registries reports, as `origin/` names it. */
export interface OriginCounters {
  answered(asked: Asked, outcome: number | 'failed' | 'left', seconds: number): void
}

export function originCounters(registers: Registry[]): OriginCounters {
  const requests = new Counter({
    name: 'shoal_origin_requests_total',
    help: 'Requests to registries and their mirrors, by what was asked for and how it was answered (2xx …, 429, failed, left).',
    labelNames: ['asked', 'outcome'],
    registers,
  })
  const seconds = new Histogram({
    name: 'shoal_origin_answer_seconds',
    help: 'From a request to a registry to the head of its answer.',
    labelNames: ['asked'],
    buckets: ANSWER_SECONDS,
    registers,
  })
  return {
    answered: (asked, outcome, value) => {
      requests.inc({ asked, outcome: outcomeClass(outcome) })
      if (typeof outcome === 'number') seconds.observe({ asked }, value)
    },
  }
}

/** Being asked to slow down is what an operator looks for, so it stands alone. */
function outcomeClass(outcome: number | 'failed' | 'left'): string {
  if (typeof outcome !== 'number') return outcome
  return outcome === 429 ? '429' : `${Math.floor(outcome / 100)}xx`
}
