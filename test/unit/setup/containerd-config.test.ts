import { describe, expect, it } from 'vitest'
import { checkTakesConfigPath, readContainerdConfig, setConfigPath } from '../../../src/setup/containerd-config.ts'

const PATH = '/etc/containerd/config.toml'
const DIR = '/etc/containerd/certs.d'
const LINE = `config_path = "${DIR}"\n`
const CRI = '[plugins."io.containerd.grpc.v1.cri".registry]\n'

const read = (text: string) => readContainerdConfig(PATH, text)
const set = (text: string): string => setConfigPath(read(text), DIR)

describe('setConfigPath', () => {
  it.each([
    ['', `version = 2\n\n${CRI}  ${LINE}`],
    ['# nothing yet\n', `# nothing yet\n\nversion = 2\n\n${CRI}  ${LINE}`],
    ['version = 2', `version = 2\n\n${CRI}  ${LINE}`],
    ['version = 3\n', `version = 3\n\n[plugins."io.containerd.cri.v1.images".registry]\n  ${LINE}`],
    ['version = 4\n', `version = 4\n\n[plugins."io.containerd.cri.v1.images".registry]\n  ${LINE}`],
    ['root = "/data"\n', `root = "/data"\n\n[plugins.cri.registry]\n  ${LINE}`],
    ['version = 1\nroot = "/data"\n', `version = 1\nroot = "/data"\n\n[plugins.cri.registry]\n  ${LINE}`],
  ])('adds the table that the version of %j has', (text, expected) => {
    expect(set(text)).toBe(expected)
  })

  it('fills an empty config_path in its place, with the comment behind it', () => {
    const text = `version = 2\n[plugins]\n\n  ${CRI}    config_path = ""  # none\n\n    [plugins."io.containerd.grpc.v1.cri".registry.mirrors]\n`
    expect(set(text)).toBe(text.replace('""', `"${DIR}"`))
  })

  it('fills a dotted key', () => {
    const text = `version = 2\n[plugins."io.containerd.grpc.v1.cri"]\n  registry.config_path = ''\n`
    expect(set(text)).toBe(text.replace("''", `"${DIR}"`))
  })

  it('goes first in a table that is there, as far in as what it has', () => {
    const text = `version = 2\n${CRI}\t# keep\n\theaders = {}\n`
    expect(set(text)).toBe(`version = 2\n${CRI}\t${LINE}\t# keep\n\theaders = {}\n`)
    expect(set(`version = 2\n  ${CRI}`)).toBe(`version = 2\n  ${CRI}    ${LINE}`)
  })

  it('keeps line ends of Windows', () => {
    expect(set('version = 2\r\n')).toBe(`version = 2\n\n${CRI}  ${LINE}`.replaceAll('\n', '\r\n'))
  })

  it('goes behind the tables of a whole configuration, which keep their order and comments', () => {
    const text = `version = 2\n# sandboxes\n[plugins]\n  [plugins."io.containerd.grpc.v1.cri"]\n    sandbox_image = "a/pause" # ours\n`
    expect(set(text)).toBe(`${text}\n${CRI}  ${LINE}`)
  })

  it.each([
    'version = 2\nplugins = {}\n',
    'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\n  registry = { headers = {} }\n',
    'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\n  registry.headers = {}\n',
    'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\n  registry = { config_path = "" }\n',
  ])('says what to write by hand where it can not edit safely: %j', (text) => {
    const refusal = { code: 'SETUP_REFUSED', message: expect.stringContaining(CRI) as string }
    expect(() => set(text)).toThrow(expect.objectContaining(refusal))
  })
})

describe('readContainerdConfig', () => {
  it('tells config_path, imports, and whether CRI is off', () => {
    const text = `version = 2\nimports = ["conf.d/*.toml"]\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n${CRI}${LINE}`
    expect(read(text)).toMatchObject({ configPath: DIR, imports: ['conf.d/*.toml'], criDisabled: true })
    expect(read('disabled_plugins = ["cri"]\n')).toMatchObject({
      configPath: undefined,
      imports: [],
      criDisabled: true,
    })
  })

  it('takes the table of another version for nothing', () => {
    expect(read(`${CRI}${LINE}`).configPath).toBeUndefined()
    expect(read(`version = 3\n${CRI}${LINE}`).configPath).toBeUndefined()
  })

  it.each([
    ['version = 5\n', 'version 5'],
    ['version = "x"\n', 'version x'],
    ['version = 2\n[plugins]\nx = \n', 'line 3, column 1'],
    [`version = 2\n${CRI}config_path = 1\n`, 'config_path is no text'],
    ['version = 2\nplugins."io.containerd.grpc.v1.cri".registry = 1\n', 'is no table'],
  ])('refuses %j', (text, message) => {
    const refusal = { code: 'SETUP_REFUSED', message: expect.stringContaining(message) as string }
    expect(() => read(text)).toThrow(expect.objectContaining(refusal))
    expect(() => read(text)).toThrow(PATH)
  })
})

describe('checkTakesConfigPath', () => {
  const sub = (name: string): string => CRI.replace(']', `.${name}]`)

  it.each([`${sub('mirrors."docker.io"')}endpoint = ["https://a"]\n`, `${sub('configs."a".tls')}ca_file = "x"\n`])(
    'refuses settings with which containerd would not start: %j',
    (text) => {
      expect(() => checkTakesConfigPath(read(`version = 2\n${text}`))).toThrow('by hand first')
    },
  )

  it.each(['', sub('mirrors'), `${sub('configs."a".auth')}username = "x"\n`])('accepts %j', (text) => {
    checkTakesConfigPath(read(`version = 2\n${text}`))
    expect(set(`version = 2\n${text}`)).toContain(LINE)
  })
})
