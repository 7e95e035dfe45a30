import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addHost } from '../../../src/setup/hosts-toml.ts'
import { MIRROR } from '../../fakes/setup-inits.ts'

const PATH = '/etc/containerd/certs.d/_default/hosts.toml'
const BLOCK = '[host."http://127.0.0.1:5050"]\n  capabilities = ["pull", "resolve"]\n'
const OTHER = '[host."https://mirror.example"]\n  capabilities = ["pull"]\n'

const add = (text: string): string => addHost(PATH, text, MIRROR)

describe('addHost', () => {
  it('comes before the hosts that are there, which stay as they are', () => {
    const text = `server = "https://quay.io"\n\n${OTHER}  # why\n  skip_verify = true\n`
    expect(add(text)).toBe(text.replace(OTHER, `${BLOCK}\n${OTHER}`))
  })

  it('comes before the comment of the first host', () => {
    expect(add(`server = "https://quay.io"\n# ours\n# since May\n${OTHER}`)).toBe(
      `server = "https://quay.io"\n${BLOCK}\n# ours\n# since May\n${OTHER}`,
    )
  })

  it.each([
    ['', BLOCK],
    ['server = "https://quay.io"', `server = "https://quay.io"\n\n${BLOCK}`],
    ['# nothing\n\n', `# nothing\n\n${BLOCK}`],
    ['[header]\n  x = "y"\n', `[header]\n  x = "y"\n\n${BLOCK}`],
  ])('comes last in %j, which has no hosts', (text, expected) => {
    expect(add(text)).toBe(expected)
  })

  it('takes the line ends of the file', () => {
    expect(add(OTHER.replaceAll('\n', '\r\n'))).toBe(`${BLOCK}\n${OTHER}`.replaceAll('\n', '\r\n'))
  })

  it.each(['http://127.0.0.1:5050', 'http://127.0.0.1:5050/'])('changes nothing when %s is there', (url) => {
    const text = `${OTHER}[host.'${url}']\n`
    expect(add(text)).toBe(text)
  })

  it('does not take a text for a host', () => {
    const text = `server = """\n[host."x"]\n"""\n`
    expect(add(text)).toBe(`${text}\n${BLOCK}`)
  })

  it('comes before a host whose header is written in parts', () => {
    const text = `[host]\n[host."https://mirror.example".header]\n  x = "y"\n`
    expect(add(text)).toBe(`${BLOCK}\n${text}`)
  })

  it.each([
    'host = { "https://a" = {} }\n',
    'host."https://a".capabilities = ["pull"]\n',
    '[host]\n"https://a" = {}\n',
    'x = """\n# """\n[host."https://a"]\n',
  ])('says what to write by hand where it can not edit safely: %j', (text) => {
    const refusal = { code: 'SETUP_REFUSED', message: expect.stringContaining(BLOCK) as string }
    expect(() => add(text)).toThrow(expect.objectContaining(refusal))
  })

  it.each([
    ['server = \n', 'line 1, column 1:'],
    ['server = "a" x\n', 'line 1, column 14:'],
    ['[host."a"]\n[host."a"]\n', 'line 2, column 1'],
    ['host = 1\n', 'host is no table'],
    ['[[host]]\n', 'host is no table'],
  ])('refuses %j and says where', (text, where) => {
    expect(() => add(text)).toThrow(where)
    expect(() => add(text)).toThrow(PATH)
  })

  it('shows nothing that stands in the file', () => {
    expect(() => add('[header]\nauthorization = "secret" "\n')).toThrow(/^(?!.*secret)/s)
  })

  it('is the first of any hosts, and once is enough', () => {
    const urls = fc.uniqueArray(fc.webUrl(), { maxLength: 5 })
    fc.assert(
      fc.property(urls, fc.boolean(), fc.constantFrom('\n', '\r\n'), (hosts, withServer, end) => {
        const server = withServer ? ['server = "https://quay.io"'] : []
        const text = [...server, ...hosts.map((url) => `[host.${JSON.stringify(url)}]`)].join(end)
        const added = add(text)
        expect(added.match(/(?<=^\[host\.").*(?="\])/gm)).toEqual([MIRROR.url, ...hosts])
        expect(add(added)).toBe(added)
      }),
    )
  })
})
