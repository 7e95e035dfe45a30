/**
 * Names and addresses of hosts in a support bundle: found first, in everything that goes into it, then replaced wherever they stand.
 * Registries that everybody knows and addresses that mean the same on every host stay.
 */
import { createHash, randomBytes } from 'node:crypto'
import { isIP } from 'node:net'

/** Keys of the configuration, the log and the API under which a host stands. */
const KEYS = new Set(['registry', 'host', 'hostname', 'address', 'default', 'allow', 'hosts', 'bootstrap', 'advertise'])
const PUBLIC = [
  'docker.io',
  'docker.com',
  'ghcr.io',
  'quay.io',
  'gcr.io',
  'registry.k8s.io',
  'mcr.microsoft.com',
  'public.ecr.aws',
  'pkg.dev',
]
const NOBODYS = /^(?:localhost|127(?:\.\d+){3}|::1|::ffff:127(?:\.\d+){3}|0\.0\.0\.0|::|\*)$/i

const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?'
const NAME = `${LABEL}(?:\\.${LABEL})*\\.?`
const DOTTED = `${LABEL}(?:\\.${LABEL})+`
/** Where a text names a host, whatever it is about. */
const PLACES: readonly RegExp[] = [
  // https://www.rfc-editor.org/rfc/rfc3986#section-3.2
  new RegExp(`\\b[a-z][a-z0-9+.-]{0,20}://(?:[^\\s/@"']{0,200}@)?(\\[[0-9a-f:.]+\\]|${NAME})`, 'gi'),
  // https://github.com/multiformats/multiaddr
  /\/(?:ip4|ip6|dns|dns4|dns6|dnsaddr)\/([^\s/"'\\]{1,255})/gi,
  new RegExp(`(?<![\\w./:-])(${DOTTED}):\\d{2,5}(?!\\d|:\\d)`, 'gi'),
  // an image with its registry, whose name was hidden
  new RegExp(`(?<![\\w./@-])(${DOTTED})(?::\\d+)?/name-[0-9a-f]{8}\\b`, 'gi'),
  new RegExp(`\\bgetaddrinfo [A-Z_]+ (${NAME})`, 'g'),
  /(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(?![\w]|\.\d)/g,
  /(?<![\w:.])([0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:\.\d{1,3}){0,3})(?![\w:])/gi,
]
const MAX_HOSTS = 10_000

export class HiddenHosts {
  readonly #salt = randomBytes(32)
  /** In lower case. */
  readonly #hosts = new Set<string>()

  /** @param key that the text stands under in JSON; empty for none */
  learn(text: string, key = ''): void {
    if (KEYS.has(key)) for (const entry of text.split(/[\s,]+/)) this.#add(hostOf(entry))
    for (const place of PLACES) for (const [, host = ''] of text.matchAll(place)) this.#add(host)
  }

  /** All texts of a value of JSON, and the names of registries that have settings. */
  learnJson(value: unknown, key = ''): void {
    if (typeof value === 'string') this.learn(value, key)
    if (typeof value !== 'object' || value === null) return
    for (const [name, inner] of Object.entries(value)) {
      if (key === 'registries') this.learn(name, 'registry')
      this.learnJson(inner, Array.isArray(value) ? key : name)
    }
  }

  /** Marks in the place of what was learned: the same for the same host, and of no use outside the bundle. */
  hide(text: string): string {
    if (this.#hosts.size === 0) return text
    // long ones first: a name may be the end of another one
    const hosts = [...this.#hosts].sort((a, b) => b.length - a.length)
    const plain = hosts.filter((host) => isIP(host) !== 0 || host.includes('.')).map((host) => RegExp.escape(host))
    // one word may be any word: only where it can't be anything but a host
    const words = hosts.filter((host) => isIP(host) === 0 && !host.includes('.')).map((host) => RegExp.escape(host))
    const [any, word] = [`(?:${plain.join('|')})`, `(?:${words.join('|')})`]
    const choices = [
      ...(plain.length > 0 ? [`(?<![\\w-]|\\w\\.)${any}(?![\\w-]|\\.\\w)`] : []),
      ...(words.length > 0
        ? [
            `(?<=//|/dns[46]?/|"|@)${word}(?=[/:]|"(?!:))`,
            `(?<![\\w./-])${word}(?=:\\d{2,5}\\b)`,
            `(?<=getaddrinfo [A-Z_]+ )${word}(?![\\w.-])`,
          ]
        : []),
    ]
    return text.replaceAll(new RegExp(choices.join('|'), 'gi'), (host) => this.#mark(host.toLowerCase()))
  }

  #add(text: string): void {
    const host = text.toLowerCase().replace(/^\[|\]$|\.$/g, '')
    const isHost = isIP(host) !== 0 || new RegExp(`^${NAME}$`).test(host)
    if (!isHost || NOBODYS.test(host) || /^\d+$/.test(host) || isPublic(host) || this.#hosts.size >= MAX_HOSTS) return
    this.#hosts.add(host)
  }

  #mark(host: string): string {
    return `host-${createHash('sha256').update(this.#salt).update(host).digest('hex').slice(0, 8)}`
  }
}

/** Of `host`, `host:port`, `[ipv6]:port`, `*.host` or a URL. */
function hostOf(entry: string): string {
  const text = entry.replace(/^[a-z]+:\/\//i, '').replace(/^\*\./, '')
  if (isIP(text) !== 0) return text
  return /^(\[[^\]]+\]|[^/:]+)/.exec(text)?.[1] ?? ''
}

function isPublic(host: string): boolean {
  return PUBLIC.some((name) => host === name || host.endsWith(`.${name}`))
}
