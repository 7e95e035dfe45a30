import { describe, expect, it } from 'vitest'
import { ClientSightings, DOCTOR_USER_AGENT, familyOf } from '../../../src/facade/client-sightings.ts'

describe('which client asks', () => {
  it.each([
    ['docker/20.10.24 go/go1.19 kernel/6.1 os/linux arch/amd64 UpstreamClient(Docker-Client/20.10.24)', 'docker'],
    ['docker/28.5.2 go/go1.24 containerd-client/1.7.28 storage-driver/overlayfs', 'docker'],
    ['containerd/1.6.20~ds1', 'containerd'],
    ['containerd/v2.1.9', 'containerd'],
    ['buildkit/v0.16', 'buildkit'],
    ['containers/5.23.1 (github.com/containers/image)', 'podman'],
    ['libpod/4.3.1', 'podman'],
    ['skopeo/1.18.0', 'podman'],
    ['cri-o/1.30.0 go/go1.22 os/linux arch/amd64', 'cri-o'],
    ['curl/7.88', 'other'],
    ['', 'other'],
    ['x'.repeat(10_000), 'other'],
  ] as const)('%s', (userAgent, family) => {
    expect(familyOf(userAgent)).toBe(family)
  })

  it('is counted, and the last one comes first; a flood of names takes no memory', () => {
    let now = 1_000
    const clients = new ClientSightings({ clock: () => now })
    clients.note('docker/28')
    now = 2_000
    clients.note('containerd/2')
    clients.note('containerd/2')
    expect(clients.list()).toEqual([
      { family: 'containerd', requests: 2, lastSeenAt: 2_000 },
      { family: 'docker', requests: 1, lastSeenAt: 1_000 },
    ])
    now = 3_000
    for (let index = 0; index < 1_000; index++) clients.note(`program/${index}`)
    clients.note(undefined)
    expect(clients.list()[0]).toEqual({ family: 'other', requests: 1_001, lastSeenAt: 3_000 })
    expect(clients.list()).toHaveLength(3)
  })

  it('is not the doctor, whose requests are counted apart', () => {
    const clients = new ClientSightings({ clock: () => 1 })
    clients.note(DOCTOR_USER_AGENT)
    clients.note('docker/28')
    clients.note(DOCTOR_USER_AGENT)
    expect(clients.list()).toEqual([{ family: 'docker', requests: 1, lastSeenAt: 1 }])
    expect(clients.probes).toBe(2)
  })
})
