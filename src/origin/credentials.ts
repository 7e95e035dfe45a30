import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { Abortable } from '../blob/ports.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { lru } from '../util/lru.ts'
import { SingleFlight } from '../util/single-flight.ts'
import { askCredentialHelper } from './credential-helper.ts'
import { type Credential, DockerConfig } from './docker-config.ts'

/** The agent's own credentials, by registry. */
export interface Credentials {
  /** Names the account without telling secrets, the same after a restart; undefined: there is none. */
  account(registry: string): string | undefined
  /** What is shown to the registry, where that is certain without asking a helper. */
  certain(registry: string): Credential | undefined
  /** Never fails: what cannot be had is logged and counts as none. */
  get(registry: string, options: Abortable): Promise<Credential | undefined>
  /** Call when a registry refused what `get` gave: a helper is asked again soon. */
  refused(registry: string): void
}

const LOOK_EVERY_MS = 1_000
const HELPER_ANSWER_MS = 5 * 60_000
/** A refused answer is kept for so long: denied requests must not start a process each. */
const REFUSED_ANSWER_MS = 10_000
const MAX_ANSWERS = 1000

interface HelperAnswer {
  readonly credential: Credential | undefined
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** Credentials of docker's config.json and of the helpers named in it. The file is read again when it changes. */
export class DockerCredentials implements Credentials {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #path: string | undefined
  readonly #ask: typeof askCredentialHelper
  readonly #flights = new SingleFlight<Credential | undefined>()
  readonly #answers = lru<string, HelperAnswer>(MAX_ANSWERS)
  #config = DockerConfig.empty
  #version = ''
  #lookedAt = Number.NEGATIVE_INFINITY
  #warned = new Set<string>()

  /**
   * @param init.path of config.json; undefined or a path without a file: no credentials
   * @param components.askHelper another way to ask a helper, for tests
   */
  constructor(
    components: { log: Logger; clock: Clock; askHelper?: typeof askCredentialHelper },
    init: { path: string | undefined },
  ) {
    this.#log = components.log
    this.#clock = components.clock
    this.#ask = components.askHelper ?? askCredentialHelper
    this.#path = init.path
  }

  account(registry: string): string | undefined {
    const config = this.#current()
    const helper = config.helper(registry)
    const own = config.credential(registry)
    if (helper === undefined && own === undefined) return undefined
    // Who a helper logs in as is known only after asking it, but the name of an account must not change by that.
    const who = helper === undefined ? describe(own) : `helper ${helper.name}`
    return createHash('sha256').update(`${registry}\0${who}`).digest('hex')
  }

  certain(registry: string): Credential | undefined {
    const config = this.#current()
    return config.helper(registry) === undefined ? config.credential(registry) : undefined
  }

  async get(registry: string, { signal }: Abortable): Promise<Credential | undefined> {
    const config = this.#current()
    const helper = config.helper(registry)
    if (helper === undefined) return config.credential(registry)
    const known = this.#answers.get(registry)
    if (known !== undefined && this.#clock() - known.at < HELPER_ANSWER_MS) {
      return known.credential ?? config.credential(registry)
    }
    const asked = await this.#flights.run(registry, signal, async () => {
      const credential = await this.#askOrWarn(helper)
      if (this.#current() === config) this.#answers.set(registry, { credential, at: this.#clock() })
      return credential
    })
    return asked ?? config.credential(registry)
  }

  refused(registry: string): void {
    const known = this.#answers.get(registry)
    if (known !== undefined && this.#clock() - known.at >= REFUSED_ANSWER_MS) this.#answers.delete(registry)
  }

  async #askOrWarn(helper: { name: string; server: string }): Promise<Credential | undefined> {
    try {
      return await this.#ask(helper)
    } catch (error) {
      this.#warnOnce(`helper ${helper.name}`, { helper: helper.name, err: error }, 'credential helper failed')
      return undefined
    }
  }

  /** Synchronous, because `account` has to be; a small local file, looked at once a second at most. */
  #current(): DockerConfig {
    const now = this.#clock()
    if (this.#path === undefined || now - this.#lookedAt < LOOK_EVERY_MS) return this.#config
    this.#lookedAt = now
    try {
      const stat = statSync(this.#path, { throwIfNoEntry: false })
      const version = stat === undefined ? '' : `${stat.ino} ${stat.mtimeMs} ${stat.size}`
      if (version === this.#version) return this.#config
      this.#version = version
      this.#answers.clear()
      this.#warned = new Set()
      this.#config = DockerConfig.empty
      if (stat !== undefined) this.#config = DockerConfig.parse(readFileSync(this.#path, 'utf8'))
    } catch (error) {
      this.#config = DockerConfig.empty
      this.#warnOnce('file', { path: this.#path, err: error }, 'credentials cannot be read')
    }
    return this.#config
  }

  #warnOnce(what: string, fields: object, message: string): void {
    if (this.#warned.has(what)) return
    this.#warned.add(what)
    this.#log.warn(fields, message)
  }
}

function describe(credential: Credential | undefined): string {
  if (credential === undefined || credential.kind === 'registry-token') return 'token'
  return `user ${credential.username}`
}
