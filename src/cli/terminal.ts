/** What an output stream is, if it is a terminal. */
export interface Terminal {
  /** Characters in a line and lines on the screen, as they are now. */
  size(): { readonly columns: number; readonly rows: number }
  readonly hasColor: boolean
}

/** Of a process; undefined where an output is no terminal. */
export interface Terminals {
  readonly stdout: Terminal | undefined
  readonly stderr: Terminal | undefined
}

interface Output {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

/** @returns undefined when it is none, or one that cannot move its cursor */
export function terminalOf(
  output: Output,
  environment: Readonly<Record<string, string | undefined>>,
): Terminal | undefined {
  const { NO_COLOR: noColor = '', TERM: term } = environment
  if (output.isTTY !== true || term === 'dumb') return undefined
  return {
    // a terminal may say 0 for what it does not know
    size: () => ({ columns: output.columns || 80, rows: output.rows || 24 }),
    // https://no-color.org
    hasColor: noColor === '',
  }
}
