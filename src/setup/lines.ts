/** Lines with their ends, so that joining them gives the text back. */
export function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? []
}

/** How the text ends its lines. */
export function lineEnd(text: string): '\n' | '\r\n' {
  return text.includes('\r\n') ? '\r\n' : '\n'
}

/** `block`, whose lines end with `\n`, before the line with this index (0 is the first), in the text's own line ends. */
export function insertLines(text: string, index: number, block: string): string {
  const lines = linesOf(text)
  const end = lineEnd(text)
  const above = lines.slice(0, index).join('')
  const joined = above === '' || above.endsWith('\n') ? above : above + end
  return joined + block.replaceAll('\n', end) + lines.slice(index).join('')
}

/** `block` behind everything, after an empty line. */
export function appendBlock(text: string, block: string): string {
  const lines = linesOf(text)
  const gap = lines.length === 0 || lines.at(-1)?.trim() === '' ? '' : '\n'
  return insertLines(text, lines.length, gap + block)
}
