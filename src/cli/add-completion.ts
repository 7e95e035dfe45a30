import { Argument, type Command } from 'commander'
import { bashCompletion } from './completion/bash.ts'
import { type CompletedCommand, commandTree } from './completion/command-tree.ts'
import { fishCompletion } from './completion/fish.ts'
import { zshCompletion } from './completion/zsh.ts'

const SHELLS: Readonly<Record<string, (root: CompletedCommand) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
}

/** Call it when all other commands are there. */
export function addCompletion(program: Command, { print }: { readonly print: (text: string) => void }): void {
  program
    .command('completion')
    .description('print a script that completes commands and options on the tab key')
    .addArgument(new Argument('<shell>', 'for which shell').choices(Object.keys(SHELLS)))
    .action((shell: string) => print(SHELLS[shell]?.(commandTree(program)) ?? ''))
}
