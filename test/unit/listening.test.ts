import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, it } from 'vitest'
import { listeningFor } from '../../src/listening.ts'
import { createSwarmNode } from '../fixtures/swarm-nodes.ts'

it('names the key whose address is taken, also when libp2p finds out', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const address = { host: '127.0.0.1', port: (holder.address() as AddressInfo).port }
  const node = await createSwarmNode({ listen: address })
  try {
    const taken = {
      code: 'CONFIG_INVALID',
      message: `swarm.listen: 127.0.0.1:${address.port} is in use already (EADDRINUSE)`,
    }
    await expect(listeningFor('swarm.listen', address, () => node.start())).rejects.toMatchObject(taken)
    const bind = async (): Promise<void> => {
      const second = createServer().listen(address)
      await once(second, 'listening')
    }
    await expect(listeningFor('facade.listen', address, bind)).rejects.toMatchObject({
      message: `facade.listen: 127.0.0.1:${address.port} is in use already (EADDRINUSE)`,
    })
  } finally {
    await node.stop()
    holder.close()
  }
})

it('passes on what has nothing to do with an address', async () => {
  const start = () => Promise.reject(new Error('broken'))
  await expect(listeningFor('facade.listen', { host: '::', port: 1 }, start)).rejects.toThrow('broken')
})
