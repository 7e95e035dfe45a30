/**
 * Of undici what an agent needs: connections and requests. Its main module brings fetch, caches, WebSocket and mocks too, 5 MiB of memory.
 * The paths are those of the pinned version.
 */
import { createRequire } from 'node:module'
import type * as undici from 'undici'

type Undici = typeof undici

const load = createRequire(import.meta.url)

export const Agent = load('undici/lib/dispatcher/agent.js') as Undici['Agent']
export const EnvHttpProxyAgent = load('undici/lib/dispatcher/env-http-proxy-agent.js') as Undici['EnvHttpProxyAgent']
export const buildConnector = load('undici/lib/core/connect.js') as Undici['buildConnector']

const Dispatcher = load('undici/lib/dispatcher/dispatcher.js') as Undici['Dispatcher']
// as the main module does
Object.assign(Dispatcher.prototype, load('undici/lib/api/index.js') as object)
