import { posix } from 'node:path'
import { textBetween } from './docker-daemon-json.ts'
import { CONTAINERD_CONFIG, containerdRoots, planContainerd } from './plan-containerd.ts'
import { planContainers, SHOAL_CONF } from './plan-containers.ts'
import { DAEMON_JSON, DOCKER_CERTS, planDocker } from './plan-docker.ts'
import type { ClientName, Planner, SetupFiles } from './setup-types.ts'

export interface Daemon {
  /** As systemd and `/proc/PID/comm` name it. */
  readonly unit: string
  readonly program: string
  readonly pidFiles: readonly string[]
  /** Where docker's API is asked which mirrors it uses. */
  readonly socket?: string
  /** Makes it read its main file: SIGHUP, or nothing but a start. */
  readonly rereads: 'on SIGHUP' | 'when it starts'
}

export interface ClientKind {
  readonly plan: Planner
  /** Undefined for a client that is no daemon. */
  readonly daemon: Daemon | undefined
  /** A text that the daemon has to read before `next` replaces `now`, where it does not forget by itself. */
  readonly between?: (path: string, now: string, next: string | undefined) => string | undefined
  /** Every file that may have been set up. @param file as in PlanInit */
  readonly paths: (files: SetupFiles, file: string | undefined) => readonly string[]
}

export const CLIENTS: Readonly<Record<ClientName, ClientKind>> = {
  docker: {
    plan: planDocker,
    daemon: {
      unit: 'docker',
      program: 'dockerd',
      pidFiles: ['/run/docker.pid', '/var/run/docker.pid'],
      socket: '/run/docker.sock',
      rereads: 'on SIGHUP',
    },
    between: textBetween,
    paths: (files, file) => [file ?? DAEMON_JSON, ...hostsFiles(files, [DOCKER_CERTS])],
  },
  containerd: {
    plan: planContainerd,
    daemon: { unit: 'containerd', program: 'containerd', pidFiles: [], rereads: 'when it starts' },
    paths: (files, file) => [file ?? CONTAINERD_CONFIG, ...hostsFiles(files, containerdRoots(files, file))],
  },
  podman: { plan: planContainers, daemon: undefined, paths: (_, file) => [file ?? SHOAL_CONF] },
  crio: {
    plan: planContainers,
    daemon: { unit: 'crio', program: 'crio', pidFiles: ['/run/crio/crio.pid', '/run/crio.pid'], rereads: 'on SIGHUP' },
    paths: (_, file) => [file ?? SHOAL_CONF],
  },
}

/** Whether the client reads the file at every pull. */
export function isReadPerPull(path: string): boolean {
  return posix.basename(path) === 'hosts.toml'
}

function hostsFiles(files: SetupFiles, roots: readonly string[]): string[] {
  return roots.flatMap((root) => files.names(root).map((name) => posix.join(root, name, 'hosts.toml')))
}
