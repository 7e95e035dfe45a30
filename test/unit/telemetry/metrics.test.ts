import { expect, it } from 'vitest'
import type { DirectoryMetrics } from '../../../src/swarm/discovery/dht-provider-directory.ts'
import type { SwarmMetrics } from '../../../src/swarm/swarm-metrics.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'

it('counts what facade and transfers report', async () => {
  const metrics = new Metrics({ version: '1.2.3' })
  metrics.facade.answered('blob', 206)
  metrics.facade.answered('blob', 200)
  metrics.facade.answered('manifest', 'cut')
  metrics.facade.served('hit', 10)
  metrics.facade.served('pass-through', 4)
  metrics.facade.firstByte('blob', 0.02)
  metrics.facade.lastByte('blob', 0.3)
  metrics.facade.failed('blob', 'ORIGIN_UNAVAILABLE')
  metrics.facade.stale()
  metrics.origin.answered('manifest', 200, 0.03)
  metrics.origin.answered('manifest', 429, 0.03)
  metrics.origin.answered('token', 503, 0.03)
  metrics.origin.answered('blob', 'failed', 0.03)
  metrics.transfers.verified()
  metrics.transfers.rejected('peer')
  metrics.logged('warn')
  metrics.reloaded('refused')
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
    'shoal_facade_body_seconds_bucket{le="0.25",kind="blob"} 0',
    'shoal_facade_body_seconds_bucket{le="1",kind="blob"} 1',
    'shoal_facade_failures_total{kind="blob",code="ORIGIN_UNAVAILABLE"} 1',
    'shoal_facade_stale_answers_total 1',
    'shoal_origin_requests_total{asked="manifest",outcome="2xx"} 1',
    'shoal_origin_requests_total{asked="manifest",outcome="429"} 1',
    'shoal_origin_requests_total{asked="token",outcome="5xx"} 1',
    'shoal_origin_requests_total{asked="blob",outcome="failed"} 1',
    'shoal_origin_answer_seconds_count{asked="manifest"} 2',
    'shoal_chunks_verified_total 1',
    'shoal_chunks_rejected_total{source="peer"} 1',
    'shoal_log_lines_total{level="warn"} 1',
    'shoal_config_reloads_total{outcome="refused"} 1',
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
  metrics.observe({
    isReady: () => true,
    store: () => ({
      blobs: 3,
      bytes,
      partialBytes: 4,
      quotaBytes: 100,
      isWritable: false,
      evictedBlobs: 5,
      evictedBytes: 600,
      writeFailures: 2,
    }),
    runningTransfers: () => 2,
    swarm: () => ({
      isMember: true,
      connectedPeers: 7,
      bannedPeers: 1,
      records: 12,
      coordinated: { blobs: 6, chunksOut: 11 },
      laneIn: 3,
      laneOut: 2,
      refusals: { 'wrong-secret': 9 },
    }),
  })
  expect(await metrics.text()).toMatch(/^shoal_store_bytes 1$/m)
  bytes = 50
  const text = await metrics.text()
  for (const line of [
    'shoal_store_bytes 50',
    'shoal_store_blobs 3',
    'shoal_store_quota_bytes 100',
    'shoal_transfers_running 2',
    'shoal_store_partial_bytes 4',
    'shoal_store_writable 0',
    'shoal_store_evicted_blobs_total 5',
    'shoal_store_evicted_bytes_total 600',
    'shoal_store_write_failures_total 2',
    'shoal_ready 1',
    'shoal_swarm_member 1',
    'shoal_swarm_peers 7',
    'shoal_swarm_banned_peers 1',
    'shoal_swarm_refusals_total{reason="wrong-secret"} 9',
    'shoal_dht_records 12',
    'shoal_swarm_coordinated_blobs 6',
    'shoal_swarm_leases_out 11',
    'shoal_lane_connections{direction="in"} 3',
    'shoal_lane_connections{direction="out"} 2',
  ]) {
    expect(text.split('\n')).toContain(line)
  }
})

it('keeps two agents of one process apart', async () => {
  const [one, other] = [new Metrics({ version: '0' }), new Metrics({ version: '0' })]
  one.transfers.passedThrough()
  expect(await other.text()).toMatch(/^shoal_passed_through_total 0$/m)
})

it('counts what the swarm and its lane report', async () => {
  const metrics = new Metrics({ version: '0' })
  const swarm: SwarmMetrics = metrics.swarm
  const directory: DirectoryMetrics = metrics.directory
  directory.lookedUp(true, 0.003)
  directory.announced('sent')
  swarm.searched('found', 0.004)
  swarm.firstProvider(0.015)
  swarm.announced('blob')
  swarm.message('in', 'have')
  swarm.leased('second')
  swarm.leasesExpired(4)
  swarm.coordinatorChanged()
  metrics.transfers.withoutLeave?.()
  swarm.banned('false-map')
  swarm.received('lane', 5)
  swarm.sent('lane', 7)
  swarm.sent('stream', 1)
  metrics.swarm.laneServed('busy')
  metrics.swarm.laneAsked('answered')
  metrics.transfers.wasted('peer', 3)
  const text = await metrics.text()
  for (const line of [
    'shoal_swarm_search_seconds_bucket{le="0.005",outcome="found"} 1',
    'shoal_swarm_first_provider_seconds_bucket{le="0.01"} 0',
    'shoal_swarm_first_provider_seconds_bucket{le="0.02"} 1',
    'shoal_swarm_announces_total{kind="blob"} 1',
    'shoal_swarm_messages_total{direction="in",type="have"} 1',
    'shoal_swarm_leases_total{kind="second"} 1',
    'shoal_swarm_leases_expired_total 4',
    'shoal_swarm_coordinator_changes_total 1',
    'shoal_chunks_without_leave_total 1',
    'shoal_swarm_bans_total{reason="false-map"} 1',
    'shoal_lane_received_bytes_total{via="lane"} 5',
    'shoal_lane_sent_bytes_total{via="lane"} 7',
    'shoal_lane_sent_bytes_total{via="stream"} 1',
    'shoal_lane_requests_served_total{outcome="busy"} 1',
    'shoal_lane_requests_total{outcome="answered"} 1',
    'shoal_dht_lookup_seconds_count{outcome="found"} 1',
    'shoal_dht_announces_total{outcome="sent"} 1',
    'shoal_wasted_bytes_total{source="peer"} 3',
  ]) {
    expect(text.split('\n')).toContain(line)
  }
})

it('adds up the traffic for the status', () => {
  const metrics = new Metrics({ version: '0' })
  expect(metrics.traffic).toEqual({ fromOrigin: 0, fromPeers: 0, wasted: 0, toPeers: 0 })
  metrics.transfers.received('origin', 10)
  metrics.transfers.received('peer', 20)
  metrics.transfers.received('peer', 1)
  metrics.transfers.wasted('peer', 2)
  metrics.transfers.wasted('origin', 1)
  metrics.swarm.sent('lane', 40)
  metrics.swarm.sent('stream', 5)
  expect(metrics.traffic).toEqual({ fromOrigin: 10, fromPeers: 21, wasted: 3, toPeers: 45 })
})
