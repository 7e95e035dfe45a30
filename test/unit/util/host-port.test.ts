import { expect, it } from 'vitest'
import { formatHostPort, parseHostPort } from '../../../src/util/host-port.ts'

it.each([
  ['127.0.0.1:5050', { host: '127.0.0.1', port: 5_050 }],
  ['localhost:0', { host: 'localhost', port: 0 }],
  ['[::1]:5050', { host: '::1', port: 5_050 }],
])('reads %s, and writes it again', (text, parsed) => {
  expect(parseHostPort(text)).toEqual(parsed)
  expect(formatHostPort(parsed)).toBe(text)
})

it.each(['', '5050', ':5050', 'a', 'a:', 'a:65536', '::1:5050', 'a:b', 'http://a:1', '[::1]'])(
  'takes %s for no address',
  (text) => expect(parseHostPort(text)).toBeUndefined(),
)
