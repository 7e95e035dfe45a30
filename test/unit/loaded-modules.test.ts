import { execFileSync } from 'node:child_process'
import { beforeAll, describe, expect, it } from 'vitest'

const SOURCES = ['cli/program', 'agent', 'agent-swarm'].map((name) => import.meta.resolve(`../../src/${name}.ts`))

/** Loads them in a process of its own, and says what came with them. */
const SCRIPT = `
  import { createRequire, registerHooks } from 'node:module'
  const urls = []
  registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) })
  for (const source of process.argv.slice(1)) await import(source)
  process.stdout.write(JSON.stringify({
    builtin: process.moduleLoadList,
    files: [...urls, ...Object.keys(createRequire('/').cache)],
  }))
`

interface Loaded {
  readonly builtin: readonly string[]
  readonly files: readonly string[]
}

describe('what an agent loads when it starts', () => {
  let loaded: Loaded

  beforeAll(() => {
    const options = ['--input-type=module', '--disable-warning=ExperimentalWarning', '--eval', SCRIPT]
    loaded = JSON.parse(execFileSync(process.execPath, [...options, ...SOURCES], { encoding: 'utf8' })) as Loaded
  })

  it('is seen by this test: fastify, libp2p, and of undici its connections', () => {
    for (const part of ['/fastify/', '/libp2p/', '/undici/lib/dispatcher/agent.js']) {
      expect(loaded.files.some((file) => file.includes(part))).toBe(true)
    }
  })

  it.each([
    ['the main module of undici, with fetch and mocks', '/undici/index.js'],
    ['OpenTelemetry’s SDK, when nothing is traced', '@opentelemetry/sdk-trace'],
    ['mDNS, when it is off', '@libp2p/mdns'],
    ['the client of the admin API', '/cli/admin-client.ts'],
    ['editors of the clients’ files', '@decimalturn/toml-patch'],
    ['editors of the clients’ files', '/jsonc-parser/'],
    ['archives', '/tar-stream/'],
    ['checks of the doctor', '/doctor/all-checks.ts'],
  ])('does not hold %s: %s', (_, part) => {
    expect(loaded.files.filter((file) => file.includes(part))).toEqual([])
  })

  it('does not hold Node’s own HTTP client, which an import of node:http brings', () => {
    expect(loaded.builtin.filter((name) => name.includes('deps/undici'))).toEqual([])
  })
})
