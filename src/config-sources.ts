/** Which of its sources a value of the configuration came from, for messages. Pure. */

export type Tree = { [key: string]: unknown }

export type Path = readonly string[]

/** A value that the environment or a flag gave. */
export interface Given {
  readonly path: Path
  readonly from: string
}

/** The last one that set it wins; what is set below it counts only where the file has nothing. */
export function sourceOf(
  path: Path,
  { file, name, given }: { readonly file: Tree; readonly name: string; readonly given: readonly Given[] },
): string | undefined {
  const above = given.findLast((one) => isBelow(path, one.path))
  if (above !== undefined) return above.from
  if (isIn(file, path)) return name
  return given.findLast((one) => isBelow(one.path, path))?.from
}

function isBelow(path: Path, top: Path): boolean {
  return top.every((part, index) => path[index] === part)
}

function isIn(tree: Tree, path: Path): boolean {
  let node: unknown = tree
  for (const part of path) {
    if (Array.isArray(node) && Number(part) < node.length) node = node[Number(part)]
    else if (isTree(node) && Object.hasOwn(node, part)) node = node[part]
    else return false
  }
  return path.length > 0
}

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
