/** The client's process on a host of the bench: starts at the given moment and prints one line of JSON. */
import { setTimeout as pause } from 'node:timers/promises'
import { type PullOrder, timedPull } from './timed-pull.ts'

const { startAt, ...order } = JSON.parse(process.argv[2] ?? '{}') as PullOrder & {
  /** Milliseconds since the epoch. */
  readonly startAt: number
}
await pause(Math.max(0, startAt - Date.now()))
console.log(JSON.stringify(await timedPull(order)))
