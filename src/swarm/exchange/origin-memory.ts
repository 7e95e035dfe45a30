/**
 * What other agents remember of origins: tags, admissions, what is in a repository. Asks the peers that announced the key and a few connected ones; all
 * within one deadline, in parallel. Called by `SwarmDirectory`.
 */
import type { Abortable, SeenTag } from '../../blob/ports.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { Clock } from '../../util/clock.ts'
import type { Logger } from '../../util/logger.ts'
import { linkSignals } from '../../util/signals.ts'
import { nearestTo } from '../discovery/nearest.ts'
import type { Suppliers } from '../discovery/suppliers.ts'
import { MAX_IDENTITIES, type ToldMessage } from '../protocol/wire-messages.ts'
import type { Members, ProviderDirectory } from '../swarm-ports.ts'
import { readTagRecord, tagKey } from '../trust/tag-record.ts'
import type { Question, QuestionDesk } from './question-desk.ts'

const MAX_ASKED = 16
const MAX_CONNECTED_ASKED = 8
const MAX_FUTURE_MS = 5 * 60_000

export interface OriginMemoryComponents {
  readonly members: Pick<Members, 'self' | 'connected' | 'connect' | 'verify'>
  readonly directory: Pick<ProviderDirectory, 'find'>
  readonly questions: QuestionDesk
  readonly suppliers: Suppliers
  readonly isBanned: (peer: string) => boolean
  readonly abused: (peer: string, why: unknown) => void
  readonly clock: Clock
  readonly log: Logger
}

export interface OriginMemoryInit {
  /** Milliseconds for everything. */
  readonly deadlineMs: number
  /** Milliseconds to wait for a newer answer once there is one. */
  readonly secondThoughtMs: number
}

export const MEMORY_LIMITS: OriginMemoryInit = { deadlineMs: 2_000, secondThoughtMs: 250 }

export class OriginMemory {
  readonly #components: OriginMemoryComponents
  readonly #init: OriginMemoryInit

  constructor(components: OriginMemoryComponents, init: OriginMemoryInit = MEMORY_LIMITS) {
    this.#components = components
    this.#init = init
  }

  /** The newest of what agents say that saw the tag at the origin. */
  async tag(repository: Repository, tag: string, options: Abortable): Promise<SeenTag | undefined> {
    const { members, clock } = this.#components
    let newest: SeenTag | undefined
    await this.#askAround({ repository, tag }, tagKey(repository, tag), options, async (peer, { record }) => {
      if (record === undefined) return 'nothing'
      const expected = { repository, tag, signer: peer, now: clock() }
      const seen = await readTagRecord(members, record, expected)
      if (seen === undefined) return 'nothing'
      if (newest === undefined || seen.at > newest.at) newest = seen
      return 'something'
    })
    return newest
  }

  async admission(
    repository: Repository,
    identities: readonly string[],
    options: Abortable,
  ): Promise<number | undefined> {
    let last: number | undefined
    const question = { repository, identities: identities.slice(0, MAX_IDENTITIES) }
    if (question.identities.length === 0) return undefined
    await this.#askAround(question, undefined, options, async (_peer, { admittedAt }) => {
      const now = this.#components.clock()
      if (admittedAt === undefined || admittedAt > now + MAX_FUTURE_MS) return 'nothing'
      last = Math.max(last ?? 0, Math.min(admittedAt, now))
      return 'something'
    })
    return last
  }

  async isLinked(repository: Repository, digest: Digest, options: Abortable): Promise<boolean> {
    let isLinked = false
    await this.#askAround({ repository, digest }, digest, options, async (_peer, told) => {
      if (!told.isLinked) return 'nothing'
      isLinked = true
      return 'enough'
    })
    return isLinked
  }

  /** @param key under which those who know are found */
  async #askAround(
    question: Question,
    key: Digest | undefined,
    { signal }: Abortable,
    onTold: (peer: string, told: ToldMessage) => Promise<'nothing' | 'something' | 'enough'>,
  ): Promise<void> {
    const { members, directory } = this.#components
    if (members.connected.size === 0) return
    using linked = linkSignals([signal], this.#init.deadlineMs)
    const asked = new Map<string, Promise<void>>()
    let settling: NodeJS.Timeout | undefined
    const ask = (peer: string): void => {
      const { isBanned } = this.#components
      if (asked.has(peer) || asked.size >= MAX_ASKED || peer === members.self || isBanned(peer)) return
      const answering = this.#ask(peer, question, linked, onTold).then((outcome) => {
        if (outcome === 'enough') linked.abort()
        if (outcome === 'something') settling ??= setTimeout(() => linked.abort(), this.#init.secondThoughtMs).unref()
      })
      asked.set(peer, answering)
    }
    for (const peer of this.#connected(question)) ask(peer)
    if (key !== undefined) for await (const peer of directory.find(key, { signal: linked.signal })) ask(peer)
    await Promise.all(asked.values())
    clearTimeout(settling)
  }

  async #ask(
    peer: string,
    question: Question,
    options: Abortable,
    onTold: (peer: string, told: ToldMessage) => Promise<'nothing' | 'something' | 'enough'>,
  ): Promise<'nothing' | 'something' | 'enough'> {
    const { members, questions, abused, log } = this.#components
    try {
      await members.connect(peer, options)
    } catch (error) {
      log.debug({ peer, err: error }, 'a peer that may know could not be reached')
      return 'nothing'
    }
    try {
      const told = await questions.ask(peer, question, options)
      return told === undefined ? 'nothing' : await onTold(peer, told)
    } catch (error) {
      abused(peer, error)
      return 'nothing'
    }
  }

  /** Those that gave blobs of the registry first, and ones that differ from question to question. */
  #connected({ repository, tag, digest }: Question): string[] {
    const { members, suppliers } = this.#components
    const recent = suppliers.of(repository.registry).filter((peer) => members.connected.has(peer))
    const others = nearestTo(digest ?? tagKey(repository, tag ?? ''), members.connected.keys(), MAX_CONNECTED_ASKED)
    return [...new Set([...recent, ...others])].slice(0, MAX_CONNECTED_ASKED)
  }
}
