import { describe, expect, it } from 'vitest'
import { isMirror, mirrorAt, parseMirror } from '../../../src/setup/mirror.ts'

describe('mirrorAt', () => {
  it.each([
    ['127.0.0.1', 'http://127.0.0.1:5050'],
    ['0.0.0.0', 'http://127.0.0.1:5050'],
    ['::', 'http://[::1]:5050'],
    ['fd00::1', 'http://[fd00::1]:5050'],
  ])('is how clients of this host reach an agent that listens on %s', (host, url) => {
    const mirror = mirrorAt({ host, port: 5050 })
    expect(mirror).toEqual({ url, address: url.slice('http://'.length), plainHttp: true })
  })

  it('can not be known when the agent chooses its port', () => {
    expect(() => mirrorAt({ host: '127.0.0.1', port: 0 })).toThrow('--mirror')
  })
})

describe('parseMirror', () => {
  it.each([
    ['http://127.0.0.1:5050', 'http://127.0.0.1:5050', '127.0.0.1:5050'],
    ['127.0.0.1:5050', 'http://127.0.0.1:5050', '127.0.0.1:5050'],
    ['https://M.example/', 'https://m.example', 'm.example'],
    ['http://[::1]:5050', 'http://[::1]:5050', '[::1]:5050'],
  ])('reads %s', (text, url, address) => {
    expect(parseMirror(text)).toEqual({ url, address, plainHttp: url.startsWith('http:') })
  })

  it.each([
    '',
    'ftp://a',
    'http://a/path',
    'http://a/?x',
    'http://a/#x',
    'http://u:p@a',
    'http://',
    'a b',
    'unix:///x',
  ])('refuses %j', (text) => {
    expect(() => parseMirror(text)).toThrow(expect.objectContaining({ code: 'SETUP_REFUSED' }))
  })
})

describe('isMirror', () => {
  it.each([
    ['http://127.0.0.1:5050/', true],
    ['HTTP://127.0.0.1:5050', true],
    ['http://127.0.0.1:5051', false],
    ['https://127.0.0.1:5050', false],
    ['127.0.0.1:5050', false],
    ['', false],
  ])('tells whether %s is the same', (text, same) => {
    expect(isMirror(parseMirror('http://127.0.0.1:5050'), text)).toBe(same)
  })
})
