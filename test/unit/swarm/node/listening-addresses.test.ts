import { describe, expect, it } from 'vitest'
import { ListeningAddresses } from '../../../../src/swarm/node/listening-addresses.ts'

describe('ListeningAddresses', () => {
  it('knows nothing of a peer that told nothing that can be used', () => {
    const addresses = new ListeningAddresses()
    addresses.note('a', [], '/ip4/10.0.0.1/tcp/40000')
    addresses.note('a', ['/dns4/x.example/tcp/5051', '/ip4/0.0.0.0/tcp/5051', 'x\u001b[2J'], '/ip4/10.0.0.1/tcp/40000')
    expect(addresses.of('a')).toBeUndefined()
  })

  it('prefers the address that the connection goes to, then one on the host that it comes from', () => {
    const addresses = new ListeningAddresses()
    const told = [
      '/ip4/127.0.0.1/tcp/5051',
      '/ip4/10.0.0.1/tcp/5051',
      '/ip4/10.0.0.1/tcp/6051',
      '/ip6/fd00::1/tcp/5051',
    ]
    addresses.note('a', told, '/ip4/10.0.0.1/tcp/40000')
    expect(addresses.of('a')).toBe('10.0.0.1:5051')
    addresses.note('a', told, '/ip4/10.0.0.1/tcp/6051')
    expect(addresses.of('a')).toBe('10.0.0.1:6051')
    addresses.note('a', told, '/ip6/fd00::1/tcp/40000')
    expect(addresses.of('a')).toBe('[fd00::1]:5051')
    addresses.note('a', ['/ip4/192.0.2.7/tcp/5051'], '/ip4/10.0.0.1/tcp/40000')
    expect(addresses.of('a')).toBe('192.0.2.7:5051')
  })

  it('forgets the peers told of longest ago, however many there are', () => {
    const addresses = new ListeningAddresses()
    for (let peer = 0; peer < 5_000; peer += 1)
      addresses.note(`p${peer}`, ['/ip4/10.0.0.1/tcp/1'], '/ip4/10.0.0.1/tcp/2')
    expect([addresses.of('p0'), addresses.of('p4999')]).toEqual([undefined, '10.0.0.1:1'])
  })
})
