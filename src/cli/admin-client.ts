import { createInterface } from 'node:readline'
import { Agent, type Dispatcher, request } from 'undici'
import type { AgentStatus, BlobStatus, GcResult, PeersAnswer, RemoveResult, VerifyEvent } from '../facade/admin-api.ts'
import type { Diagnosis } from '../facade/diagnosis-api.ts'
import type { SupportAnswer } from '../facade/support-api.ts'
import type { TransfersAnswer } from '../facade/transfers-api.ts'
import type { PrewarmEvent, PrewarmRequest } from '../prewarm/prewarm-events.ts'
import { CliError } from './cli-error.ts'

/** The agent itself could not go on. */
export interface Failed {
  readonly type: 'failed'
  readonly message: string
}

const USUAL_PORT = "an agent's admin listener is usually on port 5053"
const ANSWER_MS = 30_000
// it may have to remove thousands of blobs
const GC_MS = 600_000

/** Asks an agent over its admin listener. All methods throw CliError. */
export class AdminClient implements AsyncDisposable {
  readonly #base: string
  readonly #agent = new Agent({ connectTimeout: ANSWER_MS })

  /** @param init.base URL of the admin listener */
  constructor(init: { base: string }) {
    this.#base = init.base.replace(/\/+$/, '')
  }

  status(): Promise<AgentStatus> {
    return this.#json('GET', '/api/status')
  }

  async blobs(): Promise<readonly BlobStatus[]> {
    return (await this.#json<{ blobs: readonly BlobStatus[] }>('GET', '/api/blobs')).blobs
  }

  peers(): Promise<PeersAnswer> {
    return this.#json('GET', '/api/peers')
  }

  gc(): Promise<GcResult> {
    return this.#json('POST', '/api/gc', GC_MS)
  }

  remove(digest: string): Promise<RemoveResult> {
    return this.#json('DELETE', `/api/blobs/${encodeURIComponent(digest)}`)
  }

  transfers(): Promise<TransfersAnswer> {
    return this.#json('GET', '/api/transfers')
  }

  diagnose(): Promise<Diagnosis> {
    return this.#json('POST', '/api/diagnose')
  }

  support(): Promise<SupportAnswer> {
    return this.#json('GET', '/api/support')
  }

  /** As Prometheus reads them. */
  async metrics(): Promise<string> {
    const { body } = await this.#ask('GET', '/metrics', { headersMs: ANSWER_MS, bodyMs: ANSWER_MS })
    return await this.#text(body)
  }

  verify(): AsyncGenerator<VerifyEvent, void, undefined> {
    return this.#events<VerifyEvent>('/api/verify')
  }

  prewarm({ images, platforms, hosts }: PrewarmRequest): AsyncGenerator<PrewarmEvent | Failed, void, undefined> {
    const query = new URLSearchParams()
    for (const image of images) query.append('image', image)
    for (const platform of platforms) query.append('platform', platform)
    if (hosts !== undefined) {
      query.append('fleet', 'true')
      query.append('hosts', String(hosts))
    }
    return this.#events<PrewarmEvent | Failed>(`/api/prewarm?${query.toString()}`)
  }

  /** One for each line that comes. */
  async *#events<T>(path: string): AsyncGenerator<T, void, undefined> {
    const { body } = await this.#ask('POST', path, { headersMs: ANSWER_MS, bodyMs: 0 })
    try {
      for await (const line of createInterface({ input: body })) yield parse(line, this.#base) as T
    } catch (error) {
      if (error instanceof CliError) throw error
      throw new CliError(`the agent at ${this.#base} went away`, { cause: error })
    } finally {
      body.destroy()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }

  async #json<T>(method: Dispatcher.HttpMethod, path: string, ms = ANSWER_MS): Promise<T> {
    const { body } = await this.#ask(method, path, { headersMs: ms, bodyMs: ms })
    return parse(await this.#text(body), this.#base) as T
  }

  async #ask(
    method: Dispatcher.HttpMethod,
    path: string,
    timeouts: { headersMs: number; bodyMs: number },
  ): Promise<Dispatcher.ResponseData> {
    let answer: Dispatcher.ResponseData
    try {
      answer = await request(this.#base + path, {
        method,
        dispatcher: this.#agent,
        headersTimeout: timeouts.headersMs,
        bodyTimeout: timeouts.bodyMs,
      })
    } catch (error) {
      throw new CliError(`no agent answers at ${this.#base}: ${reasonOf(error)}`, { cause: error })
    }
    if (answer.statusCode === 200) return answer
    const text = await this.#text(answer.body)
    // what an agent's mirror and registries say of themselves; the admin listener does not
    if ('docker-distribution-api-version' in answer.headers) {
      throw new CliError(`a mirror or a registry answers at ${this.#base}, no admin listener: ${USUAL_PORT}`)
    }
    const message = messageOf(text)
    throw new CliError(
      message ?? `what answers at ${this.#base} is no agent (status ${answer.statusCode}): ${USUAL_PORT}`,
    )
  }

  async #text(body: Dispatcher.ResponseData['body']): Promise<string> {
    try {
      return await body.text()
    } catch (error) {
      throw new CliError(`the agent at ${this.#base} went away`, { cause: error })
    }
  }
}

function parse(text: string, base: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new CliError(`what answers at ${base} is no agent`, { cause })
  }
}

function messageOf(text: string): string | undefined {
  try {
    const { errors } = JSON.parse(text) as { errors?: { message?: unknown }[] }
    const message = errors?.[0]?.message
    return typeof message === 'string' ? message : undefined
  } catch {
    return undefined
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string }
  if (code === 'ECONNREFUSED') return 'connection refused. Is it running? Start one with `shoal agent`.'
  return message || code || String(error)
}
