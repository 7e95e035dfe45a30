/**
 * `createServer` of node:http. An `import` of that module reads all of its exports, also those that Node makes only when they are asked for:
 * WebSocket and its events bring a whole HTTP client, 8 MiB of memory that an agent never uses.
 */
import type { createServer as CreateServer } from 'node:http'

export const createServer: typeof CreateServer = process.getBuiltinModule('node:http').createServer
