import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { responseTurn } from '../../../src/facade/response-turn.ts'

function queued() {
  const socket = new Socket()
  const request = new IncomingMessage(socket)
  const response = new ServerResponse(request)
  const listeners = (): number => socket.listenerCount('close') + response.listenerCount('socket')
  const before = listeners()
  return { socket, request, response, left: () => listeners() - before }
}

it('comes when the response gets its connection', async () => {
  const { socket, request, response, left } = queued()
  const turn = responseTurn(request, response)
  response.emit('socket', socket)
  expect(await turn).toBe(true)
  expect(left()).toBe(0)
})

it('never comes when the connection ends first, or has ended', async () => {
  const { socket, request, response, left } = queued()
  const turn = responseTurn(request, response)
  socket.destroy()
  expect(await turn).toBe(false)
  expect(await responseTurn(request, response)).toBe(false)
  expect(left()).toBe(0)
})
