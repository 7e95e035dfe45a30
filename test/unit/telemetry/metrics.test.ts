import { expect, it } from 'vitest'
import { Metrics } from '../../../src/telemetry/metrics.ts'

it('counts what facade and transfers report', async () => {
  const metrics = new Metrics({ version: '1.2.3' })
  metrics.facade.answered('blob', 206)
  metrics.facade.answered('blob', 200)
  metrics.facade.answered('manifest', 'cut')
  metrics.facade.served('hit', 10)
  metrics.facade.served('pass-through', 4)
  metrics.facade.firstByte('blob', 0.02)
  metrics.transfers.received('origin', 7)
  metrics.transfers.transferEnded('complete', 2)
  metrics.transfers.passedThrough()
  const text = await metrics.text()
  for (const line of [
    'shoal_facade_requests_total{kind="blob",outcome="2xx"} 2',
    'shoal_facade_requests_total{kind="manifest",outcome="cut"} 1',
    'shoal_facade_body_bytes_total{source="store"} 10',
    'shoal_facade_body_bytes_total{source="pass_through"} 4',
    'shoal_facade_first_byte_seconds_bucket{le="0.05",kind="blob"} 1',
    'shoal_received_bytes_total{source="origin"} 7',
    'shoal_transfer_seconds_count{outcome="complete"} 1',
    'shoal_passed_through_total 1',
    `shoal_build_info{version="1.2.3",node="${process.versions.node}"} 1`,
  ]) {
    expect(text.split('\n')).toContain(line)
  }
  expect(text).toContain('process_resident_memory_bytes')
})

it('reads the store at each scrape', async () => {
  const metrics = new Metrics({ version: '0' })
  let bytes = 1
  metrics.observe({ store: () => ({ blobs: 3, bytes, quotaBytes: 100 }), runningTransfers: () => 2 })
  expect(await metrics.text()).toMatch(/^shoal_store_bytes 1$/m)
  bytes = 50
  const text = await metrics.text()
  for (const line of [
    'shoal_store_bytes 50',
    'shoal_store_blobs 3',
    'shoal_store_quota_bytes 100',
    'shoal_transfers_running 2',
  ]) {
    expect(text.split('\n')).toContain(line)
  }
})

it('keeps two agents of one process apart', async () => {
  const [one, other] = [new Metrics({ version: '0' }), new Metrics({ version: '0' })]
  one.transfers.passedThrough()
  expect(await other.text()).toMatch(/^shoal_passed_through_total 0$/m)
})
