/** One challenge of a `WWW-Authenticate` header; names are lower case, values are unquoted. */
export interface Challenge {
  readonly scheme: string
  readonly token68: string | undefined
  readonly params: ReadonlyMap<string, string>
}

// RFC 9110 §5.6.2 and §11.2
const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*/y
const QUOTED = /"((?:[^"\\]|\\[^])*)"/y
const SPACE = /[ \t]*/y
const SEPARATORS = /[ \t,]*/y

/**
 * Reads every challenge of all the headers given, in their order. What cannot be read ends its header: the challenges
 * before it count.
 * Grammar: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1, `challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ]`
 */
export function parseChallenges(headers: string | readonly string[] | undefined): Challenge[] {
  const challenges: Challenge[] = []
  for (const header of typeof headers === 'string' ? [headers] : (headers ?? [])) {
    challenges.push(...parseHeader(header))
  }
  return challenges
}

/** The challenge that can be answered: Bearer with a realm before Basic, others never. */
export function chooseChallenge(challenges: readonly Challenge[]): Challenge | undefined {
  const bearer = challenges.find((one) => one.scheme === 'bearer' && one.params.has('realm'))
  return bearer ?? challenges.find((one) => one.scheme === 'basic')
}

/** The header that says this challenge. */
export function formatChallenge({ scheme, params }: Challenge): string {
  const quote = (value: string): string => value.replace(/[\\"]/g, '\\$&')
  const list = [...params].map(([name, value]) => `${name}="${quote(value)}"`)
  return `${scheme.charAt(0).toUpperCase()}${scheme.slice(1)} ${list.join(',')}`.trimEnd()
}

function parseHeader(text: string): Challenge[] {
  const challenges: Challenge[] = []
  const scanner = new Scanner(text)
  scanner.take(SEPARATORS)
  while (!scanner.atEnd) {
    const scheme = scanner.take(TOKEN)
    if (scheme === undefined || !scanner.atSeparator) break
    const params = new Map<string, string>()
    const space = scanner.take(SPACE) ?? ''
    const token68 = space === '' ? undefined : scanner.takeToken68()
    challenges.push({ scheme: scheme.toLowerCase(), token68, params })
    scanner.take(SEPARATORS)
    if (token68 !== undefined) continue
    for (let param = scanner.takeParam(); param !== undefined; param = scanner.takeParam()) {
      // A name may stand only once: the first one counts.
      if (!params.has(param.name)) params.set(param.name, param.value)
      if (!scanner.atSeparator) return challenges
      scanner.take(SEPARATORS)
    }
  }
  return challenges
}

class Scanner {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length
  }

  get atSeparator(): boolean {
    return this.atEnd || /[ \t,]/.test(this.#text.charAt(this.#at))
  }

  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)
    if (found === null) return undefined
    this.#at += found[0].length
    return found[1] ?? found[0]
  }

  /** A token68 stands alone up to the next comma; else it is the name of a parameter or of the next scheme. */
  takeToken68(): string | undefined {
    const start = this.#at
    const value = this.take(TOKEN68)
    this.take(SPACE)
    if (value !== undefined && (this.atEnd || this.#text.charAt(this.#at) === ',')) return value
    this.#at = start
    return undefined
  }

  /** `token BWS "=" BWS ( token / quoted-string )`, or nothing when the next scheme begins. */
  takeParam(): { name: string; value: string } | undefined {
    const start = this.#at
    const name = this.take(TOKEN)
    this.take(SPACE)
    if (name !== undefined && this.take(/=/y) !== undefined) {
      this.take(SPACE)
      const quoted = this.take(QUOTED)
      const value = quoted === undefined ? this.take(TOKEN) : quoted.replace(/\\([^])/g, '$1')
      if (value !== undefined) return { name: name.toLowerCase(), value }
    }
    this.#at = start
    return undefined
  }
}
