import type { Config } from './config.ts'

/** The configuration in force. What reads it at each use follows a reload without being told. */
export class LiveConfig {
  #config: Config

  constructor(config: Config) {
    this.#config = config
  }

  get config(): Config {
    return this.#config
  }

  replace(config: Config): void {
    this.#config = config
  }

  /** What follows from the configuration, made once for each. */
  derive<T>(make: (config: Config) => T): () => T {
    let from = this.#config
    let made = make(from)
    return () => {
      if (from !== this.#config) {
        from = this.#config
        made = make(from)
      }
      return made
    }
  }
}
