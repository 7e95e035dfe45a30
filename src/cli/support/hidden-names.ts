import { createHash, randomBytes } from 'node:crypto'

/** Keys of the log, the API and the configuration whose values name what was pulled. */
const NAMED = new Set(['repository', 'repositories', 'image', 'images', 'names', 'url', 'tag', 'reference', 'scope'])
/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests: `<name>`, and `<reference>` where it is a tag. */
const PATH = /\/v2\/([^\s"'?]+?)\/(blobs|manifests|tags|referrers)\b(\/(?!sha\d{3}:)[^\s"'?/]+)?/g
const SCOPE = /\brepository:([^\s:"']+(?::\d+\/[^\s:"']+)?):/g
const COMPONENT = '[a-z0-9]+(?:[._-]+[a-z0-9]+)*'
/** An image with its registry; not a path on the disk, nor a place in a source file. */
const IMAGE = new RegExp(
  `(?<![\\w/.@-])((?:[a-z0-9.-]+\\.[a-z]{2,}|localhost|[a-z0-9.-]+(?=:\\d))(?::\\d+)?)((?:/${COMPONENT})+)(?::(?!\\d+:\\d)[\\w][\\w.-]{0,127})?`,
  'gi',
)

/** Puts marks in the place of names of repositories and tags: the same for the same name, and of no use outside the bundle. */
export class HiddenNames {
  readonly #salt = randomBytes(32)

  /** @param key that the text stands under in JSON; empty for none */
  hide(text: string, key = ''): string {
    // an error's class stands under `name` too
    if (NAMED.has(key) || (key === 'name' && text.includes('/'))) return this.#mark(text)
    return text
      .replaceAll(
        PATH,
        (_, name: string, kind: string, tag = '') =>
          `/v2/${this.#mark(name)}/${kind}${tag === '' ? '' : `/${this.#mark(String(tag))}`}`,
      )
      .replaceAll(SCOPE, (_, name: string) => `repository:${this.#mark(name)}:`)
      .replaceAll(IMAGE, (_, registry: string, name: string) => `${registry}/${this.#mark(name)}`)
  }

  #mark(name: string): string {
    return `name-${createHash('sha256').update(this.#salt).update(name).digest('hex').slice(0, 8)}`
  }
}
