import type { CompletedCommand } from './command-tree.ts'

/** A script for fish, to stand in its directory of completions. */
export function fishCompletion(root: CompletedCommand): string {
  return `# fish completion for ${root.name}\ncomplete -c ${root.name} -f\n${linesOf(root, root.name, []).join('\n')}\n`
}

function linesOf(command: CompletedCommand, program: string, path: readonly string[]): string[] {
  const children = command.commands.map(({ name }) => name)
  const isHere = [
    ...path.map((name) => `__fish_seen_subcommand_from ${name}`),
    ...(children.length > 0 ? [`not __fish_seen_subcommand_from ${children.join(' ')}`] : []),
  ].join('; and ')
  const complete = `complete -c ${program}${isHere === '' ? '' : ` -n ${quote(isHere)}`}`
  const options = command.options.map(({ names, description, takesValue, choices, isFile }) => {
    const flags = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`))
    const value = choices.length > 0 ? ` -xa ${quote(choices.join(' '))}` : isFile ? ' -rF' : ' -x'
    return `${complete} ${flags.join(' ')}${takesValue ? value : ''} -d ${quote(description)}`
  })
  const next = command.commands.map((child) => `${complete} -a ${child.name} -d ${quote(child.description)}`)
  const choices = command.choices.length > 0 ? [`${complete} -a ${quote(command.choices.join(' '))}`] : []
  return [
    ...next,
    ...choices,
    ...options,
    ...command.commands.flatMap((child) => linesOf(child, program, [...path, child.name])),
  ]
}

function quote(text: string): string {
  return `'${text.replace(/['\\]/g, (char) => `\\${char}`)}'`
}
