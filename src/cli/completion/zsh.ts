import type { CompletedCommand, CompletedOption } from './command-tree.ts'

/** A script for zsh's completion system, to stand as `_shoal` in a directory of `fpath`. */
export function zshCompletion(root: CompletedCommand): string {
  return `#compdef ${root.name}
# zsh completion for ${root.name}
${functions(root, `_${root.name}`).join('\n')}
if [[ $funcstack[1] == _${root.name} ]]; then
  _${root.name} "$@"
else
  compdef _${root.name} ${root.name}
fi
`
}

function functions(command: CompletedCommand, name: string): string[] {
  const options = command.options.flatMap(optionSpecs)
  if (command.commands.length === 0) {
    const rest =
      command.choices.length > 0 ? [quote(`1:what:(${command.choices.join(' ')})`)] : [quote('*:: :_default')]
    return [`${name}() {\n  _arguments -s ${[...options, ...rest].join(' ')}\n}`]
  }
  const listed = command.commands.map((child) => quote(`${child.name}:${child.description}`)).join(' ')
  const cases = command.commands.map((child) => `      ${child.name}) ${name}_${child.name} ;;`).join('\n')
  return [
    ...command.commands.flatMap((child) => functions(child, `${name}_${child.name}`)),
    `${name}() {
  local curcontext="$curcontext" state line
  _arguments -C -s ${[...options, quote('1: :->command'), quote('*:: :->rest')].join(' ')}
  case $state in
    command) local -a commands=(${listed}); _describe command commands ;;
    rest) case $line[1] in
${cases}
    esac ;;
  esac
}`,
  ]
}

/** https://zsh.sourceforge.io/Doc/Release/Completion-System.html: optspec of _arguments */
function optionSpecs({ names, description, takesValue, choices, isFile }: CompletedOption): string[] {
  const text = description.replace(/[[\]\\:]/g, (char) => `\\${char}`)
  const value = takesValue ? `:value:${isFile ? '_files' : choices.length > 0 ? `(${choices.join(' ')})` : ' '}` : ''
  return names.map((name) => quote(`*${name}[${text}]${value}`))
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
