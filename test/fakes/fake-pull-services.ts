import type { ListAnswer, Scope } from '../../src/blob/ports.ts'
import type { ManifestAnswer, ManifestHead, OpenBlob, PullServices } from '../../src/blob/services.ts'
import type { ShoalError } from '../../src/errors.ts'

/** What the origin and the store behind the services are like. */
export type Weather =
  | { readonly kind: 'present' }
  | { readonly kind: 'error'; readonly error: ShoalError }
  /** Never answers, and does not even heed the signal. */
  | { readonly kind: 'silent' }

export interface FakeContent {
  blob(): OpenBlob
  readonly manifest: ManifestAnswer
  readonly list: ListAnswer
}

export interface SeenCall {
  readonly name: string
  readonly scope?: Scope
  readonly query?: string
}

/** Services that answer as the test says, and note what they were asked. */
export class FakePullServices implements PullServices {
  weather: Weather = { kind: 'present' }
  readonly calls: SeenCall[] = []
  readonly opened: OpenBlob[] = []
  readonly #content: FakeContent

  constructor(content: FakeContent) {
    this.#content = content
  }

  readonly blobs: PullServices['blobs'] = {
    open: (scope) =>
      this.#answer({ name: 'blobs.open', scope }, () => {
        const blob = this.#content.blob()
        this.opened.push(blob)
        return blob
      }),
    stat: (scope) => this.#answer({ name: 'blobs.stat', scope }, () => ({ size: this.#content.blob().size })),
  }

  readonly manifests: PullServices['manifests'] = {
    get: (scope) => this.#answer({ name: 'manifests.get', scope }, () => this.#content.manifest),
    head: (scope) => this.#answer({ name: 'manifests.head', scope }, (): ManifestHead => this.#content.manifest),
    referrers: (scope, _digest, query) =>
      this.#answer({ name: 'manifests.referrers', scope, query: query.toString() }, () => this.#content.list),
  }

  readonly lists: PullServices['lists'] = {
    tags: (scope, query) => this.#answer({ name: 'lists.tags', scope, query }, () => this.#content.list),
    catalog: ({ registry, authorization }, query) =>
      this.#answer(
        { name: 'lists.catalog', scope: { repository: { registry, name: '' }, authorization }, query },
        () => this.#content.list,
      ),
  }

  #answer<T>(call: SeenCall, value: () => T): Promise<T> {
    this.calls.push(call)
    if (this.weather.kind === 'silent') return new Promise<T>(() => {})
    if (this.weather.kind === 'error') return Promise.reject(this.weather.error)
    return Promise.resolve(value())
  }
}
