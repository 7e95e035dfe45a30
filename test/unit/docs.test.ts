import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { configDocument, configKeys } from '../../scripts/config/config-document.ts'
import { type CliComponents, runCli } from '../../src/cli/program.ts'
import { parseConfig } from '../../src/config.ts'

const root = join(import.meta.dirname, '../..')
const SECTIONS = new Set(['facade', 'admin', 'store', 'origin', 'swarm', 'log'])

interface Page {
  readonly name: string
  readonly text: string
  /** Fenced or indented, by language. */
  readonly blocks: readonly { readonly language: string; readonly code: string }[]
  /** Inline code, and each line of a block without its remark. */
  readonly lines: readonly string[]
}

function pageOf(name: string, text: string): Page {
  const fenced = [...text.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].map(([, language = '', code = '']) => ({
    language,
    code,
  }))
  const rest = text.replace(/^```[^]*?^```$/gm, '')
  const indented = [...rest.matchAll(/^(?: {4}.*\n)+/gm)].map(([code]) => ({ language: 'sh', code }))
  const blocks = [...fenced, ...indented]
  const spans = [...rest.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span)
  const lines = blocks
    .flatMap(({ code }) => code.split('\n'))
    .map((line) => line.trim().split(/\s+#\s|\s{2,}/)[0] ?? '')
  return { name, text, blocks, lines: [...lines, ...spans] }
}

/** As GitHub makes them of headings. */
function anchorsOf(text: string): string[] {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading)
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

async function helpOf(...command: string[]): Promise<string> {
  let text = ''
  const stdout = (part: string): void => {
    text += part
  }
  // nothing else is used for a help
  await runCli([...command, '--help'], { stdout, stderr: stdout, doctor: {} } as unknown as CliComponents, {
    version: '',
  })
  return text
}

describe('the documentation', () => {
  const pages: Page[] = []
  beforeAll(async () => {
    const names = [
      'README.md',
      ...(await readdir(join(root, 'docs'))).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`),
    ]
    for (const name of names) pages.push(pageOf(name, await readFile(join(root, name), 'utf8')))
  })
  const found = <T>(of: (page: Page) => readonly T[]): { readonly page: string; readonly what: T }[] =>
    pages.flatMap((page) => of(page).map((what) => ({ page: page.name, what })))

  it('has the configuration as the schema says', async () => {
    expect(await readFile(join(root, 'docs/configuration.md'), 'utf8')).toBe(configDocument())
  })

  it('names only commands and options that there are', async () => {
    const used = found(({ lines }) =>
      lines.flatMap((line) => {
        const [, command, rest = ''] = /^(?:\$ )?(?:scripts\/|bin\/|npx )?shoal ([a-z][a-z-]*)\b(.*)$/.exec(line) ?? []
        return command === undefined ? [] : [{ command, options: rest.match(/(?<=\s)--[a-z][a-z-]*/g) ?? [] }]
      }),
    )
    const all = await helpOf()
    const helps = new Map<string, string>()
    for (const { command } of used.map(({ what }) => what))
      if (new RegExp(`^ {2}${command} `, 'm').test(all)) helps.set(command, await helpOf(command))
    const wrong = used.filter(({ what }) => {
      const help = helps.get(what.command)
      return help === undefined || what.options.some((option) => !help.includes(option))
    })
    expect(wrong).toEqual([])
    expect(helps.size).toBeGreaterThan(8)
  })

  it('names only npm scripts that there are', async () => {
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    const used = found(({ text }) => [...text.matchAll(/\bnpm run ([\w:-]+)/g)].map(([, name = '']) => name))
    expect(used.filter(({ what }) => !(what in scripts))).toEqual([])
    expect(used.length).toBeGreaterThan(5)
  })

  it('names only keys of the configuration that there are', () => {
    const keys = new Set(configKeys().map(({ name }) => name))
    const used = found(({ lines }) =>
      lines.flatMap((quoted) => {
        const line = quoted.replace(/"[^"]*"/, 'HOST')
        const [, key] =
          /^(?:--set )?'?((?:facade|admin|store|origin|swarm|log)\.\w[\w."-]*?)'?(?:[=:].*)?$/.exec(line) ?? []
        return key === undefined ? [] : [key]
      }),
    )
    expect(used.filter(({ what }) => !keys.has(what))).toEqual([])
    expect(used.length).toBeGreaterThan(keys.size)
  })

  it('says of a key in brackets what it is unless it is set', () => {
    const defaults = new Map(configKeys().map(({ name, fallback }) => [name, fallback]))
    const said = found(({ text }) => [...text.matchAll(/`(\w+\.\w+)` \((\d+) (s|min|h|d|[KMG]iB)\)/g)])
    for (const { what } of said) {
      const [, key = '', count = '', unit = ''] = what
      expect(`${key}: ${defaults.get(key)}`).toBe(`${key}: ${count}${unit}`)
    }
    expect(said.length).toBeGreaterThan(3)
  })

  it('shows only configuration that an agent takes', () => {
    const shown = found(({ blocks }) =>
      blocks.filter(({ language }) => language === 'yaml').map(({ code }) => parse(code) as object),
    )
    const ours = shown.filter(({ what }) => Object.keys(what).every((key) => SECTIONS.has(key)))
    for (const { what } of ours) expect(() => parseConfig(what)).not.toThrow()
    expect(ours.length).toBeGreaterThan(1)
  })

  it("shows k3s' file in its form, with the mirror where an agent listens", () => {
    const files = found(({ blocks }) =>
      blocks.filter(({ code }) => /^mirrors:/m.test(code)).map(({ code }) => parse(code) as { mirrors: object }),
    )
    const { host, port } = parseConfig({}).facade.listen
    const endpoint = [`http://${host}:${port}`]
    expect(files.map(({ what }) => what)).toEqual([{ mirrors: { 'docker.io': { endpoint }, 'quay.io': { endpoint } } }])
  })

  it('names only files of this repository that there are', () => {
    const used = found(({ lines }) =>
      lines.flatMap((line) => /(?:^|\s)((?:src|test|scripts|config|docs)\/[\w./-]*\w)/.exec(line)?.slice(1) ?? []),
    )
    expect(used.filter(({ what }) => !existsSync(join(root, what)))).toEqual([])
    expect(used.length).toBeGreaterThan(20)
  })

  it.each(['## Sizing', '## What happens when …'])('says in each row under %s where it is seen', async (heading) => {
    const operations = await readFile(join(root, 'docs/operations.md'), 'utf8')
    const [section = ''] = operations.slice(operations.indexOf(`${heading}\n`) + heading.length).split(/^## /m)
    const rows = section.match(/^\|.*\|$/gm)?.slice(2) ?? []
    const isShown = (row: string): boolean => {
      const last = row.split(' | ').at(-1) ?? ''
      const spans = [...last.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span)
      return spans.some((span) => /^(?:npm run|shoal|openssl) /.test(span) || existsSync(join(root, span)))
    }
    expect(rows.filter((row) => !isShown(row))).toEqual([])
    expect(rows.length).toBeGreaterThan(5)
  })

  it('names only metrics that there are', async () => {
    const table = await readFile(join(root, 'docs/metrics.md'), 'utf8')
    const used = found(({ lines }) => lines.filter((line) => /^shoal_\w+$/.test(line)))
    expect(used.filter(({ what }) => !table.includes(`| \`${what}\` |`))).toEqual([])
  })

  it('names every protocol that agents speak', async () => {
    const folder = join(root, 'src/swarm')
    const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'))
    const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))
    const spoken = texts.flatMap((text) => text.match(/(?<=')\/shoal\/[\w-]+\/\d+(?=')/g) ?? [])
    const operations = await readFile(join(root, 'docs/operations.md'), 'utf8')
    expect(spoken.filter((name) => !operations.includes(`\`${name}\``))).toEqual([])
    expect(spoken.length).toBeGreaterThan(4)
  })

  it('links to what is there', async () => {
    const links = found(({ text }) =>
      [...text.matchAll(/\]\(([^)\s]+)\)|\bsrc(?:set)?="([^"]+)"/g)].map(([, link, source]) => link ?? source ?? ''),
    )
    const dead: string[] = []
    for (const { page, what } of links.filter(({ what }) => !/^https?:/.test(what))) {
      const [path = '', anchor] = what.split('#')
      const file = path === '' ? join(root, page) : join(root, dirname(page), path)
      const isThere =
        existsSync(file) && (anchor === undefined || anchorsOf(await readFile(file, 'utf8')).includes(anchor))
      if (!isThere) dead.push(`${page}: ${what}`)
    }
    expect(dead).toEqual([])
    const shown = new Set(links.map(({ page, what }) => join(dirname(page), what)))
    const images = (await readdir(join(root, 'docs/images'))).map((name) => `docs/images/${name}`)
    expect(images.filter((name) => !shown.has(name))).toEqual([])
  })
})
