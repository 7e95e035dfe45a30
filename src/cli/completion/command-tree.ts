import type { Command } from 'commander'

export interface CompletedOption {
  /** `--json`, `-V`. */
  readonly names: readonly string[]
  readonly description: string
  readonly takesValue: boolean
  /** What the value may be; a file when there is `isFile`. */
  readonly choices: readonly string[]
  readonly isFile: boolean
}

/** A command as a shell has to know it. */
export interface CompletedCommand {
  readonly name: string
  readonly description: string
  readonly options: readonly CompletedOption[]
  /** What its first argument may be. */
  readonly choices: readonly string[]
  readonly commands: readonly CompletedCommand[]
}

export function commandTree(command: Command): CompletedCommand {
  const help = command.createHelp()
  return {
    name: command.name(),
    description: command.description(),
    options: help.visibleOptions(command).map((option) => ({
      names: [option.short, option.long].filter((name) => name !== undefined),
      description: option.description,
      takesValue: option.required || option.optional,
      choices: option.argChoices ?? [],
      isFile: /<(file|dir|path)>/i.test(option.flags),
    })),
    choices: command.registeredArguments[0]?.argChoices ?? [],
    commands: help
      .visibleCommands(command)
      .filter((child) => child.name() !== 'help')
      .map(commandTree),
  }
}
