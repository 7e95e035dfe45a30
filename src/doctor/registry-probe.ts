import { DOCTOR_USER_AGENT } from '../facade/client-sightings.ts'
import { DOCKER_HUB } from '../oci/reference.ts'
import type { HostView, HttpHead, Within } from './host-view.ts'

/** Where Docker Hub's registry is. */
const HUB_HOST = 'registry-1.docker.io'

export interface RegistryProbeInit {
  readonly registry: string
  readonly plainHttp: boolean
  /** As `GetInit`. */
  readonly ca: string | undefined
  /** Base URL of what is asked instead, a mirror. */
  readonly mirror?: string
}

export type RegistryAnswer = (HttpHead & { readonly offsetMs: number | undefined }) | { readonly error: string }

/** One request to a registry, made once however many checks want its answer. */
export class RegistryProbe {
  readonly name: string
  readonly #host: Pick<HostView, 'get' | 'now'>
  readonly #url: string
  readonly #ca: string | undefined
  #answer: Promise<RegistryAnswer> | undefined

  constructor({ host }: { readonly host: Pick<HostView, 'get' | 'now'> }, init: RegistryProbeInit) {
    this.#host = host
    this.name = init.mirror === undefined ? init.registry : new URL(init.mirror).host
    const at = init.registry === DOCKER_HUB ? HUB_HOST : init.registry
    this.#ca = init.ca
    const base = init.mirror ?? `${init.plainHttp ? 'http' : 'https'}://${at}`
    this.#url = `${base.replace(/\/+$/, '')}/v2/`
  }

  /** `offsetMs`: by how much its clock is ahead of this host's, to a second. */
  ask(options: Within): Promise<RegistryAnswer> {
    this.#answer ??= this.#ask(options)
    return this.#answer
  }

  async #ask(options: Within): Promise<RegistryAnswer> {
    const begun = this.#host.now()
    try {
      const head = await this.#host.get(
        this.#url,
        { userAgent: DOCTOR_USER_AGENT, byProxy: true, ca: this.#ca },
        options,
      )
      const middle = (begun + this.#host.now()) / 2
      // the header has whole seconds, cut off
      const offsetMs = head.date === undefined ? undefined : Math.round(head.date + 500 - middle)
      return { ...head, offsetMs }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      return { error: code ?? message }
    }
  }
}
