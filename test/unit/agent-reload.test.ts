import { describe, expect, it } from 'vitest'
import { AgentReload, type SwarmSettings } from '../../src/agent-reload.ts'
import { parseConfig } from '../../src/config.ts'
import { LiveConfig } from '../../src/live-config.ts'
import type { OriginSettings } from '../../src/origin/origin-client.ts'
import { createLogger } from '../../src/telemetry/logger.ts'

const SECRET = '0123456789abcdef0123456789abcdef'

function build(section: object = {}) {
  const live = new LiveConfig(parseConfig(section))
  const lines: string[] = []
  const log = createLogger(live.config.log, { sink: { write: (line) => void lines.push(line) } })
  const origins: OriginSettings[] = []
  const swarms: SwarmSettings[] = []
  const outcomes: string[] = []
  const quotas: number[] = []
  const setQuota = async (bytes: number): Promise<void> => {
    quotas.push(bytes)
    if (bytes === 1) throw new Error('the disk says no')
  }
  const reload = new AgentReload(
    {
      live,
      log,
      metrics: { reloaded: (outcome) => void outcomes.push(outcome) },
      store: { setQuota },
      origin: { configure: (settings) => void origins.push(settings) },
      swarm: { configure: (settings) => void swarms.push(settings) },
    },
    { keys: [] },
  )
  return { live, lines, origins, swarms, outcomes, quotas, reload }
}

describe('AgentReload', () => {
  it('gives every component what is its own', async () => {
    const { live, reload, origins, swarms, quotas, lines } = build({ swarm: { secret: SECRET } })
    const next = {
      swarm: { secret: `${SECRET}x`, uploadRate: 5 },
      store: { quota: 7 },
      origin: { allow: ['a'], rate: 3 },
    }
    await reload.reload(() => parseConfig(next))
    expect(origins).toEqual([expect.objectContaining({ allow: ['a'], rateBytesPerSecond: 3 })])
    expect(swarms).toEqual([expect.objectContaining({ uploadRate: 5, keys: [origins[0]?.identityKey] })])
    expect(quotas).toEqual([7])
    expect(live.config.store.quota).toBe(7)
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ secret: 'changed', needRestart: [] })
    expect(lines.join()).not.toContain(SECRET)
  })

  it('says of the secret what holds: there is none, it is the same, it changed, or it waits for a restart', async () => {
    const stated = async (before: object, ...steps: object[]): Promise<unknown[]> => {
      const { reload, lines } = build({ swarm: before })
      const said: unknown[] = []
      for (const swarm of steps) {
        await reload.reload(() => parseConfig({ swarm }))
        said.push((JSON.parse(lines.at(-1) ?? '') as { secret: unknown }).secret)
      }
      return said
    }
    expect(await stated({}, {}, { secret: SECRET }, {})).toEqual(['none', 'needs restart', 'none'])
    const other = { secret: `${SECRET}x` }
    // the first reload reads what the agent was not told of here
    expect(await stated({ secret: SECRET }, { secret: SECRET }, { secret: SECRET }, other, {})).toEqual([
      'changed',
      'same',
      'changed',
      'needs restart',
    ])
  })

  it('changes nothing when a file that the new configuration names cannot be read', async () => {
    const { live, reload, origins, swarms, quotas, outcomes } = build({ swarm: { secret: SECRET } })
    const before = live.config
    await reload.reload(() => parseConfig({ swarm: { secretFile: '/none' }, store: { quota: 7 } }))
    await reload.reload(() =>
      parseConfig({ origin: { registries: { 'a.test': { ca: '/none' } } }, swarm: { secret: SECRET } }),
    )
    expect(live.config).toBe(before)
    expect([origins, swarms, quotas]).toEqual([[], [], []])
    expect(outcomes).toEqual(['refused', 'refused'])
  })

  it('takes one after the other, of those that wait only the last one', async () => {
    const { live, reload, outcomes } = build()
    const one = reload.reload(() => parseConfig({ swarm: { headStart: '1s' } }))
    const two = reload.reload(() => expect.unreachable())
    const three = reload.reload(() => parseConfig({ swarm: { headStart: '3s' } }))
    await Promise.all([one, two, three])
    expect(outcomes).toEqual(['applied', 'applied'])
    expect(live.config.swarm.headStart).toBe(3_000)
    await reload.reload(() => {
      throw new Error('no such file')
    })
    expect(outcomes.at(-1)).toBe('refused')
  })

  it('goes on when the store can not give up what is too much', async () => {
    const { live, reload, outcomes, lines } = build()
    await reload.reload(() => parseConfig({ store: { quota: 1 } }))
    expect(outcomes).toEqual(['applied'])
    expect(live.config.store.quota).toBe(1)
    expect(lines.at(-1)).toContain('the disk says no')
  })
})

describe('LiveConfig', () => {
  it('makes what follows from it once for each configuration', () => {
    const live = new LiveConfig(parseConfig({}))
    let made = 0
    const quota = live.derive(({ store }) => ({ bytes: store.quota, made: ++made }))
    expect([quota(), quota()].map((one) => one.made)).toEqual([1, 1])
    live.replace(parseConfig({ store: { quota: 9 } }))
    expect([quota(), quota()]).toEqual([
      { bytes: 9, made: 2 },
      { bytes: 9, made: 2 },
    ])
  })
})
