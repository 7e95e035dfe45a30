import { describe, expect, it } from 'vitest'
import { AgentView } from '../../../src/doctor/agent-view.ts'
import type { CheckResult } from '../../../src/doctor/check.ts'
import { type ClientCheckComponents, clientCheck } from '../../../src/doctor/client-check.ts'
import type { ClientSighting } from '../../../src/facade/client-sightings.ts'
import { STATUS } from '../../fakes/fake-admin-backend.ts'

const SEEN_AT = 1_700_000_000_000
const SEEN: ClientSighting[] = [{ family: 'docker', requests: 3, lastSeenAt: SEEN_AT }]
const UNREAD = { state: 'no', why: 'is set up, and has not read that yet', advice: 'reload it' } as const

interface Host extends Partial<ClientCheckComponents> {
  readonly seen?: readonly ClientSighting[]
  readonly configured?: 'yes' | 'no'
}

async function check({ seen = [], configured = 'no', ...parts }: Host): Promise<CheckResult> {
  const status = async () => ({ ...STATUS, clients: seen })
  const agent = new AgentView({ status, diagnose: () => Promise.reject(new Error('not asked')) })
  const one = clientCheck(
    {
      agent,
      isInstalled: async () => true,
      isConfigured: async () => ({ state: configured }),
      inUse: async () => ({ state: 'unknown' }),
      belongsTo: async () => undefined,
      isAnotherSetUp: async () => false,
      now: () => SEEN_AT + 60_000,
      ...parts,
    },
    { name: 'docker', families: ['docker'], example: 'docker pull hello-world' },
  )
  return await one.run(new AbortController())
}

describe('a client', () => {
  it('is passed over when it is not installed', async () => {
    expect(await check({ isInstalled: async () => false })).toMatchObject({ state: 'skip', text: 'not installed' })
  })

  it('uses the mirror when it was seen', async () => {
    const text = 'uses the mirror; last seen 1 min ago'
    expect(await check({ configured: 'yes', seen: SEEN })).toEqual({ state: 'ok', text })
    expect(await check({ inUse: async () => ({ state: 'yes' }), seen: SEEN })).toEqual({ state: 'ok', text })
  })

  it('is set up, and is not said to use the mirror before it was seen', async () => {
    const text = 'is set up; not seen yet: try `docker pull hello-world`'
    expect(await check({ configured: 'yes' })).toEqual({ state: 'ok', text })
    expect(await check({ inUse: async () => ({ state: 'yes' }) })).toEqual({ state: 'ok', text })
  })

  it('is to read its files when it runs without having read them', async () => {
    const unread = { state: 'warn', text: 'is set up, and has not read that yet', advice: 'reload it' }
    expect(await check({ configured: 'yes', inUse: async () => UNREAD })).toEqual(unread)
    expect(await check({ configured: 'yes', inUse: async () => UNREAD, seen: SEEN })).toEqual(unread)
    expect(
      await check({ configured: 'yes', inUse: async () => ({ ...UNREAD, since: SEEN_AT + 1 }), seen: SEEN }),
    ).toEqual(unread)
  })

  it('has read what it needs when it came after its file was changed', async () => {
    const inUse = async () => ({ ...UNREAD, since: SEEN_AT - 1 })
    expect(await check({ configured: 'yes', inUse, seen: SEEN })).toMatchObject({ state: 'ok' })
  })

  it('was seen, whatever its files say', async () => {
    expect(await check({ seen: SEEN })).toMatchObject({ state: 'ok', text: expect.stringContaining('seen 1 min ago') })
  })

  it('is told how to be set up where no client of the host is', async () => {
    const advice = expect.stringContaining('shoal setup docker')
    expect(await check({})).toMatchObject({ state: 'warn', text: 'does not use the mirror', advice })
  })

  it('is passed over where another client is set up, or another program has it for itself', async () => {
    expect(await check({ isAnotherSetUp: async () => true })).toEqual({
      state: 'skip',
      text: 'not set up; `shoal setup docker` does it',
    })
    expect(await check({ belongsTo: async () => 'docker' })).toEqual({ state: 'skip', text: "it is docker's" })
  })

  it('is a warning when its files cannot be read, whatever else there is', async () => {
    const isConfigured = async () => ({ state: 'unreadable', why: 'line 3' }) as const
    for (const parts of [{ isAnotherSetUp: async () => true }, { belongsTo: async () => 'docker' }])
      expect(await check({ isConfigured, ...parts })).toMatchObject({ state: 'warn', text: 'line 3' })
  })
})
