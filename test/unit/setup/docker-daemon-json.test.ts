import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addDockerMirror, removeDockerMirror, textBetween } from '../../../src/setup/docker-daemon-json.ts'
import { MIRROR } from '../../fakes/setup-inits.ts'

const PATH = '/etc/docker/daemon.json'
const OTHER = 'https://mirror.example'

const add = (text: string | undefined): string => addDockerMirror(PATH, text, MIRROR)
const remove = (text: string, before?: string): string => removeDockerMirror(PATH, text, MIRROR, before)

describe('addDockerMirror', () => {
  it.each([undefined, '', ' \n\t', '\ufeff'])('writes a whole file for %j', (text) => {
    expect(add(text)).toBe('{\n  "registry-mirrors": [\n    "http://127.0.0.1:5050"\n  ]\n}\n')
  })

  it('keeps the order, the indentation and the missing line end of what is there', () => {
    expect(add('{\n\t"debug": true,\n\t"log-level": "warn"\n}')).toBe(
      '{\n\t"debug": true,\n\t"log-level": "warn",\n\t"registry-mirrors": [\n\t\t"http://127.0.0.1:5050"\n\t]\n}',
    )
  })

  it('keeps line ends of Windows, and a byte order mark', () => {
    const text = add('\ufeff{\r\n  "debug": true\r\n}\r\n')
    expect(text.startsWith('\ufeff{\r\n  "debug": true,\r\n')).toBe(true)
    expect(text.replaceAll('\r\n', '')).not.toContain('\n')
  })

  it('comes before the other mirrors, which stay', () => {
    const text = add(JSON.stringify({ 'registry-mirrors': [OTHER, 'https://b.example'], debug: true }))
    expect(JSON.parse(text)).toEqual({ 'registry-mirrors': [MIRROR.url, OTHER, 'https://b.example'], debug: true })
  })

  it('moves to the front what stands further behind, once or twice', () => {
    const text = add(JSON.stringify({ 'registry-mirrors': [OTHER, `${MIRROR.url}/`, MIRROR.url] }))
    expect(JSON.parse(text)).toEqual({ 'registry-mirrors': [MIRROR.url, OTHER] })
  })

  it.each([MIRROR.url, `${MIRROR.url}/`])('changes nothing when it is first already, as %s', (url) => {
    const text = JSON.stringify({ 'registry-mirrors': [url, OTHER] })
    expect(add(text)).toBe(text)
  })

  it.each([
    ['{\n  "debug": tru\n}', 'line 2, column 12'],
    ['{\n  "debug": true,\n}', 'line 3, column 1'],
    ['{\n  // why\n  "debug": true }', 'line 2, column 3'],
    ['{"a": 1\n', 'line 2, column 1'],
    ['{} x', 'line 1, column 4'],
    ['{"registry-mirrors": [], "registry-mirrors": ["https://a"]}', 'by hand'],
    ['[]', 'does not hold an object'],
    ['null', 'does not hold an object'],
    ['{"registry-mirrors": "https://mirror.example"}', 'registry-mirrors is not a list'],
    ['{"registry-mirrors": [1]}', 'registry-mirrors is not a list'],
  ])('refuses %j and says where', (text, where) => {
    const refusal = { code: 'SETUP_REFUSED', message: expect.stringContaining(where) as string }
    expect(() => add(text)).toThrow(expect.objectContaining(refusal))
    expect(() => add(text)).toThrow(PATH)
  })
})

describe('removeDockerMirror', () => {
  it('takes out only the mirror from a list that has got others since', () => {
    const text = add('{\n  "debug": true\n}\n').replace('5050"', '5050", "https://mirror.example"')
    expect(JSON.parse(remove(text, '{\n  "debug": true\n}\n'))).toEqual({ debug: true, 'registry-mirrors': [OTHER] })
  })

  it('takes out the list with the mirror when there was none before', () => {
    const text = add('{}').replace('{', '{ "debug": true,')
    expect(JSON.parse(remove(text, '{}'))).toEqual({ debug: true })
  })

  it('leaves an empty list that was there before', () => {
    const before = '{ "registry-mirrors": [] }'
    expect(JSON.parse(remove(add(before), before))).toEqual({ 'registry-mirrors': [] })
  })

  it('leaves a mirror that was there before', () => {
    const before = JSON.stringify({ 'registry-mirrors': [OTHER, MIRROR.url] })
    expect(remove(`${add(before)}\n`, before)).toBe(`${add(before)}\n`)
  })

  it('gives back the settings, whatever they are and however they are written', () => {
    const settings = fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      fc.jsonValue(),
    )
    const mirrors = fc.option(fc.array(fc.oneof(fc.webUrl(), fc.constant(MIRROR.url)), { maxLength: 4 }), {
      nil: undefined,
    })
    fc.assert(
      fc.property(settings, mirrors, fc.constantFrom(0, 1, 2, '\t'), (others, list, indent) => {
        const value = { ...others, ...(list !== undefined && { 'registry-mirrors': list }) }
        const text = JSON.stringify(value, undefined, indent)
        const added = add(text)
        expect((JSON.parse(added) as Record<string, unknown[]>)['registry-mirrors']?.[0]).toBe(MIRROR.url)
        expect(add(added)).toBe(added)
        const had = list?.includes(MIRROR.url)
        expect(JSON.parse(remove(added, text))).toEqual(JSON.parse(had ? added : text))
      }),
    )
  })
})

describe('textBetween', () => {
  it.each([undefined, '', '{}'])('empties the list that docker would not forget when the next text is %j', (next) => {
    const text = textBetween(PATH, '{"debug":true,"registry-mirrors":["https://a"]}', next)
    expect(JSON.parse(text ?? '')).toEqual({ debug: true, 'registry-mirrors': [] })
  })

  it.each([
    ['{"registry-mirrors":["https://a"]}', '{"registry-mirrors":[]}'],
    ['{"registry-mirrors":[]}', '{}'],
    ['{}', '{}'],
    ['', undefined],
  ])('is none between %j and %j', (now, next) => {
    expect(textBetween(PATH, now, next)).toBeUndefined()
  })
})
