import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * A client may send requests without waiting for the answers, which then leave one after the other. A response has no
 * connection before its turn, and nothing is worth starting for it.
 * @returns false when the connection ended first
 */
export function responseTurn(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const { socket } = request
  const onTurn = (): void => finish(true)
  const onClose = (): void => finish(false)
  const finish = (come: boolean): void => {
    response.off('socket', onTurn)
    socket.off('close', onClose)
    resolve(come)
  }
  response.once('socket', onTurn)
  socket.once('close', onClose)
  if (socket.destroyed) finish(false)
  return promise
}
