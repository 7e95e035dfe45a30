import type { AdminClient } from '../admin-client.ts'

/** What a command that asks an agent works with. */
export interface CommandContext {
  readonly client: AdminClient
  readonly json: boolean
  /** Writes to standard output as it is. */
  readonly print: (text: string) => void
}
