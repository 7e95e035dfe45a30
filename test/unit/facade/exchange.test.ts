import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { Exchange } from '../../../src/facade/exchange.ts'

const LONG_MS = 60_000
const never = (): Promise<never> => new Promise(() => {})

function exchangeOf(firstByteMs = LONG_MS) {
  const request = new IncomingMessage(new Socket())
  const response = new ServerResponse(request)
  const before = response.listenerCount('close')
  const exchange = new Exchange({ request, response }, { firstByteMs })
  return { exchange, response, left: () => response.listenerCount('close') - before }
}

it('ends a wait with ABORTED when the client leaves', async () => {
  const { exchange, response } = exchangeOf()
  const wait = exchange.within(never())
  response.emit('close')
  const error = exchange.explain(await wait.catch((thrown: unknown) => thrown))
  expect(error).toMatchObject({ code: 'ABORTED' })
})

it('ends a wait with STALLED at the deadline', async () => {
  const { exchange } = exchangeOf(1)
  const keepAlive = setTimeout(() => {}, LONG_MS)
  const error = exchange.explain(await exchange.within(never()).catch((thrown: unknown) => thrown))
  clearTimeout(keepAlive)
  expect(error).toMatchObject({ code: 'STALLED' })
})

it('heeds a client that leaves after the first byte', () => {
  const { exchange, response } = exchangeOf()
  exchange.firstByteIsThere()
  expect(exchange.signal.aborted).toBe(false)
  response.emit('close')
  expect(exchange.signal.aborted).toBe(true)
})

it('leaves an error alone that has nothing to do with its own end', () => {
  const error = new Error('x')
  expect(exchangeOf().exchange.explain(error)).toBe(error)
})

it('leaves no listener behind', () => {
  const { exchange, left } = exchangeOf()
  exchange[Symbol.dispose]()
  expect(left()).toBe(0)
})
