import { once } from 'node:events'
import { createServer, type OutgoingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { agentProblem } from '../../../src/setup/agent-problem.ts'
import { parseMirror } from '../../../src/setup/mirror.ts'
import type { Mirror } from '../../../src/setup/setup-types.ts'

const REGISTRY = { 'Docker-Distribution-Api-Version': 'registry/2.0' }

let server: Server
let mirror: Mirror
let answer: { status: number; headers: OutgoingHttpHeaders }

beforeEach(async () => {
  server = createServer((_request, response) => response.writeHead(answer.status, answer.headers).end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  mirror = parseMirror(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const problem = (root = '/') => agentProblem(mirror, { root })

it('is none when an agent answers', async () => {
  answer = { status: 200, headers: REGISTRY }
  expect(await problem()).toBeUndefined()
})

it('is that nothing answers, on this host only', async () => {
  server.close()
  await once(server, 'close')
  expect(await problem()).toContain(`no agent answers at ${mirror.url} (ECONNREFUSED)`)
  expect(await problem('/host')).toBeUndefined()
})

it.each([
  [{ status: 200, headers: {} }, 'is no agent (200)'],
  [{ status: 404, headers: {} }, 'is no agent (404)'],
  [{ status: 503, headers: REGISTRY }, 'is not ready (503)'],
  [{ status: 403, headers: REGISTRY }, 'add 127.0.0.1 to its `facade.hosts`'],
])('is what else answers: %j', async (given, text) => {
  answer = given
  expect(await problem()).toMatch(/^Warning: /)
  expect(await problem()).toContain(text)
})
