import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { clientFor, scopeOf } from '../fixtures/fault-origin-client.ts'
import { chunkSourceContract } from './chunk-source.ts'

for (const tls of [false, true]) {
  chunkSourceContract(`an origin ${tls ? 'with' : 'without'} TLS`, async () => {
    const origin = await FaultOrigin.start({ tls })
    const client = clientFor([origin])
    return {
      source: (bytes) => client.blobSource(scopeOf(origin), origin.addBlob(bytes)),
      unknown: (digest) => client.blobSource(scopeOf(origin), digest),
      idle: () => origin.until(({ requests }) => requests.every((one) => one.ended)),
      close: async () => {
        await client.close()
        await origin.close()
      },
    }
  })
}
