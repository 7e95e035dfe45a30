import { posix } from 'node:path'
import { DOCKER_HUB } from '../oci/reference.ts'
import { addDockerMirror, dockerSettings } from './docker-daemon-json.ts'
import { DEFAULT_HOST, hostDir, hostDirs, planHostsFile } from './hosts-dir.ts'
import type { Plan, PlanInit, SetupFiles } from './setup-types.ts'

export const DAEMON_JSON = '/etc/docker/daemon.json'
export const DOCKER_CERTS = '/etc/docker/certs.d'

/**
 * Docker Hub's mirror in daemon.json, which every docker asks. Other registries have a hosts.toml, which docker reads
 * only with the containerd image store; where Docker Hub has one too, that store reads no mirrors from daemon.json.
 */
export function planDocker(files: SetupFiles, init: PlanInit): Plan {
  const path = init.file ?? DAEMON_JSON
  const before = files.read(path)
  const registries = init.registries ?? [DOCKER_HUB]
  const withHub = registries.includes(DOCKER_HUB) || files.isSetUp(path)
  const insecure = before === undefined ? [] : insecureRegistries(dockerSettings(path, before))
  const existing = hostDirs(files, DOCKER_CERTS).filter((dir) => {
    const ofHub = [DEFAULT_HOST, DOCKER_HUB].includes(posix.basename(dir))
    return files.isSetUp(posix.join(dir, 'hosts.toml')) || (withHub && ofHub)
  })
  const named = registries.filter((registry) => registry !== DOCKER_HUB)
  const dirs = new Set([...existing, ...named.map((registry) => hostDir(files, [DOCKER_CERTS], registry))])
  const hosts = [...dirs].map((dir) => {
    const registry = posix.basename(dir).replace(/_(\d+)_$/, ':$1')
    const open = insecure.includes(registry) ? registry : undefined
    return planHostsFile(files, dir, { mirror: init.mirror, client: 'docker', insecure: open })
  })
  const main = withHub ? [{ path, before, after: addDockerMirror(path, before, init.mirror) }] : []
  return { files: [...main, ...hosts], notes: notesOf(named) }
}

function insecureRegistries(settings: Readonly<Record<string, unknown>>): unknown[] {
  const list = settings['insecure-registries']
  return Array.isArray(list) ? list : []
}

function notesOf(named: readonly string[]): string[] {
  if (named.length === 0) return []
  return [
    `docker asks a mirror for ${named.join(', ')} only with the containerd image store; without it, for Docker Hub only.`,
  ]
}
