const MAX_LINE = 4_096

/** The last lines of the log, for a support bundle. */
export class RecentLines {
  readonly #most: number
  readonly #lines: string[] = []
  #next = 0

  constructor(init: { readonly most: number }) {
    this.#most = init.most
  }

  /** The oldest goes when there are too many. */
  add(line: string): void {
    this.#lines[this.#next] = line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line.trimEnd()
    this.#next = (this.#next + 1) % this.#most
  }

  /** Oldest first. */
  list(): string[] {
    return [...this.#lines.slice(this.#next), ...this.#lines.slice(0, this.#next)]
  }
}
