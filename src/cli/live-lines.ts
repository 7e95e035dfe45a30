/**
 * Lines at the end of a terminal that are drawn again and again in place. Owns the lines it drew last; everything else that is printed
 * meanwhile goes through `above`.
 */
import type { Terminal } from './terminal.ts'

export interface LiveLinesComponents {
  readonly terminal: Terminal
  readonly write: (text: string) => void
}

const ESCAPE = '\u001b['
/** An escape sequence takes no room. */
// oxlint-disable-next-line no-control-regex -- this is what is looked for
const SEQUENCE = /\u001b\[[0-9;]*m/g

export class LiveLines {
  readonly #components: LiveLinesComponents
  #drawn = 0

  constructor(components: LiveLinesComponents) {
    this.#components = components
  }

  /** What does not fit on the screen is left out: a terminal cannot go back to lines that have left it. */
  draw(lines: readonly string[]): void {
    const { columns, rows } = this.#components.terminal.size()
    const room = Math.max(1, rows - 1)
    const shown = lines.length > room ? [...lines.slice(0, room - 1), `… ${lines.length - room + 1} more`] : lines
    const text = shown.map((line) => `${clip(line, columns)}${ESCAPE}K\n`).join('')
    this.#components.write(`${this.#back()}${text}${ESCAPE}J`)
    this.#drawn = shown.length
  }

  /** Prints text that stays, and the lines below it. */
  above(print: () => void, lines: readonly string[]): void {
    this.clear()
    print()
    this.draw(lines)
  }

  clear(): void {
    if (this.#drawn > 0) this.#components.write(`${this.#back()}${ESCAPE}J`)
    this.#drawn = 0
  }

  #back(): string {
    return this.#drawn === 0 ? '' : `${ESCAPE}${this.#drawn}A\r`
  }
}

/** A line that is wider than the terminal would take two. */
function clip(line: string, columns: number): string {
  const width = columns - 1
  if (line.replace(SEQUENCE, '').length <= width) return line
  return `${line.replace(SEQUENCE, '').slice(0, Math.max(0, width - 1))}…`
}
