import { describe, expect, it } from 'vitest'
import { type Config, parseConfig } from '../../src/config.ts'
import { mergeConfig } from '../../src/config-reload.ts'

const SECRET = '0123456789abcdef0123456789abcdef'

function merge(before: object, after: object) {
  return mergeConfig(parseConfig(before), parseConfig(after))
}

describe('a new configuration', () => {
  it('that says the same changes nothing, however it is written', () => {
    const swarm = { secret: SECRET, bootstrap: 'a,b' }
    const { applied, needRestart, effective } = merge(
      { store: { quota: '1GiB' }, swarm },
      { store: { quota: 1024 ** 3 }, swarm: { ...swarm, bootstrap: ['a', 'b'] }, log: {} },
    )
    expect([applied, needRestart]).toEqual([[], []])
    expect(effective.store.quota).toBe(1024 ** 3)
  })

  it('is sorted into what holds at once and what needs a restart, by name', () => {
    const { applied, needRestart, effective } = merge(
      {},
      {
        facade: { listen: '127.0.0.1:1', drain: '1s' },
        store: { dir: '/elsewhere', quota: '1MiB' },
        origin: { allow: ['a.test'], rate: '1MiB', stall: '1s', registries: { 'a.test': { plainHttp: true } } },
        swarm: { bootstrap: ['c'], uploadRate: '5MiB', zone: 'z' },
        log: { level: 'debug', format: 'text', sample: 0 },
      },
    )
    expect(applied.toSorted()).toEqual([
      'facade.drain',
      'log.level',
      'log.sample',
      'origin.allow',
      'origin.rate',
      'origin.registries',
      'store.quota',
      'swarm.bootstrap',
      'swarm.uploadRate',
    ])
    expect(needRestart.toSorted()).toEqual(['facade.listen', 'log.format', 'origin.stall', 'store.dir', 'swarm.zone'])
    const defaults = parseConfig({})
    expect(effective.store).toEqual({ ...defaults.store, quota: 1024 ** 2 })
    expect(effective.facade).toEqual({ ...defaults.facade, drain: 1_000 })
    expect(effective.log).toEqual({ ...defaults.log, level: 'debug', sample: 0 })
  })

  it('may take back what was set before', () => {
    const { applied, effective } = merge({ swarm: { uploadRate: '1MiB' } }, {})
    expect(applied).toEqual(['swarm.uploadRate'])
    expect(effective.swarm.uploadRate).toBeUndefined()
  })

  it('changes one secret for another at once, but not none for one', () => {
    const other = SECRET.replaceAll('0', '9')
    const change = merge({ swarm: { secret: SECRET } }, { swarm: { secret: other } })
    expect(change.applied).toEqual(['swarm.secret'])
    expect(change.effective.swarm.secret?.reveal()).toBe(other)
    expect(merge({ swarm: { secret: SECRET } }, { swarm: { secretFile: '/s' } }).needRestart).toEqual([])
    for (const [before, after] of [
      [{}, { secret: SECRET }],
      [{ secret: SECRET }, {}],
    ] as const) {
      const { applied, needRestart, effective } = merge({ swarm: before }, { swarm: after })
      expect([applied, needRestart]).toEqual([[], ['swarm.secret']])
      expect(effective.swarm.secret === undefined).toBe(before === undefined || !('secret' in before))
    }
  })

  it('never says what a secret is', () => {
    const { applied, needRestart, effective } = merge(
      { swarm: { secret: SECRET } },
      { swarm: { secret: `${SECRET}x` } },
    )
    expect(JSON.stringify([applied, needRestart, effective])).not.toContain(SECRET)
  })

  it('has every section that the one in force has', () => {
    const config: Config = parseConfig({})
    expect(mergeConfig(config, config).effective).toEqual(config)
  })
})
