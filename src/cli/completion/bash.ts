import type { CompletedCommand, CompletedOption } from './command-tree.ts'

/**
 * A script for bash 4 and later. The words up to the cursor lead through the commands; `case` on them says what may come next.
 * Names and choices are words of our own and hold nothing that a shell would read; descriptions are left out.
 */
export function bashCompletion(root: CompletedCommand): string {
  const fn = `_${root.name}`
  return `# bash completion for ${root.name}
${fn}() {
  local word=\${COMP_WORDS[COMP_CWORD]} before='' path='' i
  [[ $COMP_CWORD -gt 0 ]] && before=\${COMP_WORDS[COMP_CWORD-1]}
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path \${COMP_WORDS[i]}" in
${paths(root)
  .map((path) => `      ${quote(` ${path}`)}) path=${quote(` ${path}`)} ;;`)
  .join('\n')}
    esac
  done
  COMPREPLY=()
  case "$path $before" in
${valueCases(root, '').join('\n')}
  esac
  case "$path" in
${wordCases(root, '').join('\n')}
  esac
}
complete -F ${fn} ${root.name}
`
}

/** Of every command below the root: \`a\`, \`a b\`. */
function paths(command: CompletedCommand, above = ''): string[] {
  return command.commands.flatMap((child) => {
    const path = above === '' ? child.name : `${above} ${child.name}`
    return [path, ...paths(child, path)]
  })
}

function valueCases(command: CompletedCommand, path: string): string[] {
  const own = command.options
    .filter(({ takesValue }) => takesValue)
    .flatMap((option) => option.names.map((name) => `    ${quote(`${path} ${name}`)}) ${valueOf(option)} return ;;`))
  return [...own, ...command.commands.flatMap((child) => valueCases(child, `${path} ${child.name}`))]
}

function valueOf({ choices, isFile }: CompletedOption): string {
  if (isFile) return 'mapfile -t COMPREPLY < <(compgen -f -- "$word");'
  return choices.length > 0 ? words(choices) : ''
}

function wordCases(command: CompletedCommand, path: string): string[] {
  const options = command.options.flatMap(({ names }) => names)
  const next = [...command.commands.map(({ name }) => name), ...command.choices]
  const own = `    ${quote(path)}) if [[ $word == -* ]]; then ${words(options)} else ${words(next)} fi ;;`
  return [own, ...command.commands.flatMap((child) => wordCases(child, `${path} ${child.name}`))]
}

function words(list: readonly string[]): string {
  return list.length === 0 ? ':;' : `mapfile -t COMPREPLY < <(compgen -W ${quote(list.join(' '))} -- "$word");`
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
