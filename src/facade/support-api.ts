/** What an agent tells of itself for a support bundle: no credentials, but names of repositories. */
export interface SupportAnswer {
  /** The configuration in force, as JSON; secrets are masked. */
  readonly config: unknown
  /** The last lines of the log from info on, as JSON, oldest first. */
  readonly log: readonly string[]
  /** Of the runtime: versions, memory, handles. */
  readonly process: unknown
}

export interface SupportSource {
  gather(): SupportAnswer
}
