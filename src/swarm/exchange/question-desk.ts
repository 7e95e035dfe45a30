/**
 * Questions about tags and repositories, asked of members and answered to them. Owns the questions that wait for an answer, each with its asker's deadline, and tag records
 * that were signed lately. Called by `SwarmDirectory`.
 */

import type { Abortable, SharedContent } from '../../blob/ports.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import { lru } from '../../util/lru.ts'
import type { AskMessage, ToldMessage, WireMessage } from '../protocol/wire-messages.ts'
import type { Members } from '../swarm-ports.ts'
import { isTellable, signTagRecord } from '../trust/tag-record.ts'

const MAX_SIGNED = 256
const MAX_WAITING = 1_024

export interface Question {
  readonly repository: Repository
  readonly tag?: string
  readonly digest?: Digest
  readonly identities?: readonly string[]
}

export interface QuestionDeskComponents {
  readonly members: Pick<Members, 'self' | 'sign'>
  readonly content: Pick<SharedContent, 'tag' | 'admittedAt' | 'isLinked'>
  readonly send: (peer: string, message: WireMessage) => boolean
}

export interface QuestionDeskInit {
  /** Whether others are told what this agent saw of tags. */
  readonly shareTags: boolean
}

interface Waiting {
  readonly peer: string
  answer(told: ToldMessage | undefined): void
}

export class QuestionDesk {
  readonly #components: QuestionDeskComponents
  readonly #init: QuestionDeskInit
  readonly #waiting = new Map<number, Waiting>()
  readonly #signed = lru<string, Promise<Uint8Array>>(MAX_SIGNED)
  #lastId = 0

  constructor(components: QuestionDeskComponents, init: QuestionDeskInit) {
    this.#components = components
    this.#init = init
  }

  /** @returns undefined when no answer comes before the signal aborts */
  async ask(
    peer: string,
    { repository, tag, digest, identities = [] }: Question,
    { signal }: Abortable,
  ): Promise<ToldMessage | undefined> {
    if (signal.aborted || this.#waiting.size >= MAX_WAITING) return undefined
    this.#lastId += 1
    const id = this.#lastId
    const { registry, name } = repository
    const { promise, resolve } = Promise.withResolvers<ToldMessage | undefined>()
    const onAbort = (): void => resolve(undefined)
    signal.addEventListener('abort', onAbort, { once: true })
    this.#waiting.set(id, { peer, answer: resolve })
    try {
      const question = { type: 'ask', id, registry, repository: name, tag, digest, identities } as const
      if (!this.#components.send(peer, question)) return undefined
      return await promise
    } finally {
      this.#waiting.delete(id)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** An answer that nobody waits for any more is no fault. */
  told(peer: string, message: ToldMessage): void {
    const waiting = this.#waiting.get(message.id)
    if (waiting?.peer === peer) waiting.answer(message)
  }

  /** The peer is gone, or what it was asked may not have arrived. */
  drop(peer: string): void {
    for (const waiting of this.#waiting.values()) if (waiting.peer === peer) waiting.answer(undefined)
  }

  /** Tells what this agent itself learnt from the origin. */
  async asked(peer: string, { id, registry, repository: name, tag, digest, identities }: AskMessage): Promise<void> {
    const { content, send } = this.#components
    const repository = { registry, name }
    const record = tag === undefined || !this.#init.shareTags ? undefined : await this.#record(repository, tag)
    const admittedAt = identities.length === 0 ? undefined : content.admittedAt(repository, identities)
    const isLinked = digest !== undefined && content.isLinked(repository, digest)
    send(peer, { type: 'told', id, record, admittedAt: admittedAt && Math.floor(admittedAt), isLinked })
  }

  async #record(repository: Repository, tag: string): Promise<Uint8Array | undefined> {
    const seen = this.#components.content.tag(repository, tag)
    // whoever passes on what a registry made up would be blamed for it
    if (seen === undefined || !isTellable(seen)) return undefined
    const key = `${repository.registry}/${repository.name}:${tag} ${seen.digest} ${seen.at}`
    const signed = this.#signed.get(key) ?? signTagRecord(this.#components.members, repository, tag, seen)
    this.#signed.set(key, signed)
    return signed
  }
}
