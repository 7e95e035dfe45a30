import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Argument, Command, Option } from 'commander'
import { describe, expect, it } from 'vitest'
import { bashCompletion } from '../../../src/cli/completion/bash.ts'
import { commandTree } from '../../../src/cli/completion/command-tree.ts'
import { fishCompletion } from '../../../src/cli/completion/fish.ts'
import { zshCompletion } from '../../../src/cli/completion/zsh.ts'
import { runCli } from '../../../src/cli/program.ts'

const run = promisify(execFile)

const program = new Command('shoal').version('1')
program.command('status').description("what's up: [all] of it").option('--json', 'print JSON')
program
  .command('setup')
  .description('set up')
  .addArgument(new Argument('<client>').choices(['docker', 'podman']))
  .option('--config <file>', 'a file')
  .addOption(new Option('--level <level>', 'how much').choices(['low', 'high']))
  .option('--set <key=value>', 'a key')
program.command('secret', { hidden: true })
const tree = commandTree(program)

/** What bash offers after these words, the last of which is being written. */
async function offered(script: string, ...words: string[]): Promise<string[]> {
  const line = words.map((word) => `'${word}'`).join(' ')
  const code = `${script}\nCOMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _shoal; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout } = await run('bash', ['-u', '-c', code], { cwd: '/' })
  return stdout.split('\n').filter((word) => word !== '')
}

describe('completion in bash', () => {
  const script = bashCompletion(tree)

  it.each([
    [
      ['shoal', ''],
      ['status', 'setup'],
    ],
    [['shoal', 'st'], ['status']],
    [
      ['shoal', '-'],
      ['-V', '--version', '-h', '--help'],
    ],
    [
      ['shoal', 'setup', ''],
      ['docker', 'podman'],
    ],
    [['shoal', 'setup', 'p'], ['podman']],
    [['shoal', 'setup', '--l'], ['--level']],
    [
      ['shoal', 'setup', '--level', ''],
      ['low', 'high'],
    ],
    [['shoal', 'setup', '--level', 'h'], ['high']],
    [['shoal', 'setup', '--set', ''], []],
    [['shoal', 'setup', 'docker', '--config', '/proc/versio'], ['/proc/version']],
    [
      ['shoal', 'status', '--'],
      ['--json', '--help'],
    ],
    [['shoal', 'status', ''], []],
    [['shoal', 'nonsense', 'st'], ['status']],
  ])('after %j it offers %j', async (words, expected) => {
    expect(await offered(script, ...words)).toEqual(expected)
  })

  it('of shoal itself: the script is what `shoal completion bash` prints', async () => {
    let out = ''
    const components = {
      runAgent: async () => {},
      adminAddress: () => ({ host: '127.0.0.1', port: 1 }),
      setupConfig: () => ({ facade: { host: '127.0.0.1', port: 5050 }, defaultRegistry: 'docker.io', registries: [] }),
      stdout: (text: string) => {
        out += text
      },
      stderr: () => {},
    }
    expect(await runCli(['completion', 'bash'], components, { version: '1' })).toBe(0)
    expect(await offered(out, 'shoal', 'prew')).toEqual(['prewarm'])
    expect(await offered(out, 'shoal', 'prewarm', '--fl')).toEqual(['--fleet'])
    expect(await offered(out, 'shoal', 'completion', '')).toEqual(['bash', 'zsh', 'fish'])
    expect(await runCli(['completion', 'tcsh'], components, { version: '1' })).toBe(2)
  })
})

// zsh and fish are rarely installed: what their readers trip over is looked at in the text
describe('completion in zsh and fish', () => {
  it('zsh gets a function for each command, with what it would read escaped', () => {
    const script = zshCompletion(tree)
    expect(script).toMatch(/^#compdef shoal\n/)
    expect(script).toContain('_shoal_setup() {')
    expect(script).toContain("'1:what:(docker podman)'")
    expect(script).toContain("'*--level[how much]:value:(low high)'")
    expect(script).toContain("'*--config[a file]:value:_files'")
    expect(script).toContain(`'status:what'\\''s up`)
    expect(script).not.toContain('secret')
  })

  it('fish gets a line for each command and option', () => {
    const lines = fishCompletion(tree).split('\n')
    expect(lines).toContain(
      `complete -c shoal -n 'not __fish_seen_subcommand_from status setup' -a status -d 'what\\'s up: [all] of it'`,
    )
    expect(lines).toContain("complete -c shoal -n '__fish_seen_subcommand_from setup' -a 'docker podman'")
    expect(lines).toContain(
      "complete -c shoal -n '__fish_seen_subcommand_from setup' -l level -xa 'low high' -d 'how much'",
    )
    expect(lines).toContain("complete -c shoal -n '__fish_seen_subcommand_from setup' -l config -rF -d 'a file'")
  })

  it('every quote that is opened is closed again', () => {
    for (const script of [zshCompletion(tree), fishCompletion(tree)]) {
      for (const line of script.split('\n')) {
        const quotes = line.replaceAll("'\\''", '').replaceAll("\\'", '').split("'").length - 1
        expect(quotes % 2).toBe(0)
      }
    }
  })
})
