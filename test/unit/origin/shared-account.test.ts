import { describe, expect, it } from 'vitest'
import type { Scope } from '../../../src/blob/ports.ts'
import type { Credentials } from '../../../src/origin/credentials.ts'
import type { Credential } from '../../../src/origin/docker-config.ts'
import { SharedAccounts } from '../../../src/origin/shared-account.ts'
import { clientFor, noCredentials } from '../../fixtures/fault-origin-client.ts'

const KEY = Buffer.alloc(32, 1)
const ann: Credential = { kind: 'password', username: 'ann', password: 'one' }
const scope: Scope = { repository: { registry: 'r.example', name: 'app' }, authorization: undefined }

describe('SharedAccounts', () => {
  it('names equal credentials the same on every agent of the swarm', () => {
    const here = new SharedAccounts({ key: KEY }).name('r.example', ann)
    expect(new SharedAccounts({ key: KEY }).name('r.example', { ...ann })).toBe(here)
    expect(here).toMatch(/^[0-9a-f]{64}$/)
  })

  it('names every other account, registry and swarm differently', () => {
    const accounts = new SharedAccounts({ key: KEY })
    const names = [
      accounts.name('r.example', ann),
      accounts.name('r.example', { ...ann, password: 'two' }),
      accounts.name('r.example', { ...ann, username: 'bob' }),
      accounts.name('other.example', ann),
      accounts.name('r.example', { kind: 'identity-token', username: 'ann', token: 'one' }),
      accounts.name('r.example', { kind: 'registry-token', token: 'one' }),
      new SharedAccounts({ key: Buffer.alloc(32, 2) }).name('r.example', ann),
    ]
    expect(new Set(names).size).toBe(names.length)
  })
})

describe('the identity that an origin sees', () => {
  async function identityOf(credentials: Partial<Credentials>, identityKey: Buffer | undefined, asked = scope) {
    const origin = clientFor([], { credentials: { ...noCredentials, ...credentials }, init: { identityKey } })
    try {
      return origin.identity(asked)
    } finally {
      await origin.close()
    }
  }

  it('is the same on every agent with equal credentials, when the swarm has a key', async () => {
    const [one, other] = await Promise.all([
      identityOf({ account: () => 'local', certain: () => ann }, KEY),
      identityOf({ account: () => 'local', certain: () => ({ ...ann }) }, KEY),
    ])
    expect(one).toEqual(other)
    expect(one.kind).toBe('agent-shared')
    expect(one.key).toMatch(/^agent-shared:[0-9a-f]{64}$/)
  })

  it('is this agent’s own affair without a key, or when only a helper knows who is shown', async () => {
    const local = { key: 'agent:local', kind: 'agent' }
    expect(await identityOf({ account: () => 'local', certain: () => ann }, undefined)).toEqual(local)
    expect(await identityOf({ account: () => 'local', certain: () => undefined }, KEY)).toEqual(local)
  })

  it('of a client with credentials of its own means nothing to another agent', async () => {
    const asked = { ...scope, authorization: 'Basic YW5uOm9uZQ==' }
    const [one, other] = [await identityOf({}, KEY, asked), await identityOf({}, KEY, asked)]
    expect(one.kind).toBe('client')
    expect(one.key).not.toBe(other.key)
  })
})
