import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { agentProblem } from '../../../src/setup/agent-problem.ts'
import { parseMirror } from '../../../src/setup/mirror.ts'

it('is that nothing answers, on this host only', async () => {
  const server = createServer((_request, response) => response.writeHead(404).end()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const mirror = parseMirror(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  expect(await agentProblem(mirror, { root: '/' })).toBeUndefined()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
  expect(await agentProblem(mirror, { root: '/' })).toContain(`no agent answers at ${mirror.url} (ECONNREFUSED)`)
  expect(await agentProblem(mirror, { root: '/host' })).toBeUndefined()
})
