import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LanePrecedence } from '../../../../src/swarm/lane/lane-precedence.ts'

class World {
  now = 1_000
  readonly given: string[] = []
  readonly precedence = new LanePrecedence({ clock: () => this.now })

  ask(peer: string): () => void {
    return this.tryToAsk(peer) ?? expect.unreachable('too many wait')
  }

  tryToAsk(peer: string): (() => void) | undefined {
    return this.precedence.take(peer, () => this.given.push(peer))
  }

  /** As many as asked for, one of them after another. */
  askFor(peer: string, count: number): (() => void)[] {
    return Array.from({ length: count }, () => this.ask(peer))
  }

  /** Two that have asked for five seconds, and what they are given. */
  elders(): (() => void)[] {
    const given = [...this.askFor('elder', 2), ...this.askFor('another elder', 2)]
    this.now += 5_000
    this.given.length = 0
    return given
  }
}

describe('who is given something', () => {
  it('is everybody, as much as they ask for, while none of them has asked for longer', () => {
    const world = new World()
    for (let peer = 0; peer < 10; peer++) world.askFor(`peer ${peer}`, 8)
    expect(world.given).toHaveLength(80)
  })

  it('are those who have asked for longer, and of the others one request each, a few in all', () => {
    const world = new World()
    world.elders()
    for (const peer of ['a', 'b', 'c', 'd', 'e']) world.askFor(peer, 3)
    expect(world.given).toEqual(['a', 'b', 'c', 'd'])
    world.askFor('elder', 2)
    expect(world.given.slice(4)).toEqual(['elder', 'elder'])
  })

  it('is everybody beside one peer alone, however long that has asked and for how much', () => {
    const world = new World()
    world.askFor('elder', 8)
    world.now += 60_000
    world.askFor('elder', 8)
    world.given.length = 0
    world.askFor('a', 8)
    expect(world.given).toHaveLength(8)
  })

  it('is everybody again when those who have asked for longer want little', () => {
    const world = new World()
    const elders = world.elders()
    world.askFor('a', 4)
    expect(world.given).toHaveLength(1)
    elders[0]?.()
    elders[0]?.()
    expect(world.given).toHaveLength(1)
    elders[1]?.()
    expect(world.given).toHaveLength(4)
  })

  it('is, of those who wait, who has asked for longest', () => {
    const world = new World()
    const elders = world.elders()
    world.ask('middle')
    world.now += 5_000
    world.ask('young')
    const gaveUp = world.ask('young')
    world.ask('middle')
    gaveUp()
    world.given.length = 0
    for (const leave of elders) leave()
    expect(world.given).toEqual(['middle'])
  })

  it('is nobody for having asked long ago, or for asking without end', () => {
    const world = new World()
    world.ask('early')()
    world.now += 60_000
    world.elders()
    world.askFor('early', 2)
    expect(world.given).toEqual(['early'])
    const busy = new World()
    for (let second = 0; second < 600; second += 5) {
      for (const peer of ['all day', 'all night', ...(second > 300 ? ['a'] : [])]) busy.ask(peer)()
      busy.now += 5_000
    }
    for (const peer of ['all day', 'all night']) busy.askFor(peer, 4)
    busy.given.length = 0
    busy.askFor('a', 4)
    expect(busy.given).toHaveLength(4)
  })

  it('is not for many to wait for', () => {
    const world = new World()
    world.elders()
    const waiting = world.askFor('a', 17)
    expect(world.tryToAsk('a')).toBeUndefined()
    waiting.at(-1)?.()
    expect(world.tryToAsk('a')).toBeTypeOf('function')
  })
})

it('keeps no place for who has left, whoever comes and goes', () => {
  const steps = fc.array(fc.record({ peer: fc.nat(6), passes: fc.nat(4_000), leaves: fc.option(fc.nat(30)) }), {
    maxLength: 80,
  })
  fc.assert(
    fc.property(steps, (steps) => {
      const world = new World()
      const leaving: (() => void)[] = []
      for (const { peer, passes, leaves } of steps) {
        world.now += passes
        leaving.push(world.tryToAsk(`peer ${peer}`) ?? (() => {}))
        if (leaves !== null) leaving[leaves]?.()
      }
      for (const leave of leaving) leave()
      world.given.length = 0
      world.ask('another')
      expect(world.given).toEqual(['another'])
    }),
  )
})
