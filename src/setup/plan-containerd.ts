import { posix } from 'node:path'
import {
  type ContainerdConfig,
  checkTakesConfigPath,
  readContainerdConfig,
  setConfigPath,
} from './containerd-config.ts'
import { certificateDirs, DEFAULT_HOST, hostDir, hostDirs, planHostsFile } from './hosts-dir.ts'
import { DOCKER_CERTS } from './plan-docker.ts'
import { refused } from './setup-error.ts'
import type { Plan, PlanInit, SetupFiles } from './setup-types.ts'

export const CONTAINERD_CONFIG = '/etc/containerd/config.toml'
export const CONTAINERD_CERTS = '/etc/containerd/certs.d'

/** A hosts.toml for every registry, one more for each that has its own, and `config_path`, without which none is read. */
export function planContainerd(files: SetupFiles, init: PlanInit): Plan {
  const path = init.file ?? CONTAINERD_CONFIG
  const before = files.read(path)
  const config = readContainerdConfig(path, before ?? '')
  const given = configPathOf(files, config)
  const roots = rootsOf(path, given)
  const needed = !given && !config.criDisabled
  if (needed) for (const one of [config, ...importsOf(files, config)]) checkTakesConfigPath(one)
  const main = needed ? [{ path, before, after: setConfigPath(config, CONTAINERD_CERTS) }] : []
  const dirs = hostDirsOf(files, roots, init.registries)
  const hosts = dirs.map((dir) => planHostsFile(files, dir, { mirror: init.mirror, client: 'containerd' }))
  return {
    files: [...hosts, ...main],
    notes: [
      'ctr needs `--hosts-dir`, with the folder of the hosts.toml files.',
      ...(config.criDisabled ? [`CRI is switched off in ${path}, so config_path is left alone there.`] : []),
      ...shadowed(files, roots, init, { withoutConfigPath: needed }),
    ],
  }
}

/** Folders in which the set-up may have written a hosts.toml, whatever became of config.toml since. */
export function containerdRoots(files: SetupFiles, file: string | undefined): string[] {
  const path = file ?? CONTAINERD_CONFIG
  const texts = [files.read(path), files.readNow(path)]
  const found = texts.flatMap((text) => rootsOf(path, configPathOf(files, readContainerdConfig(path, text ?? ''))))
  return [...new Set([CONTAINERD_CERTS, ...found])]
}

/** What counts in the end: an imported file overrides the one that imports it. */
function configPathOf(files: SetupFiles, config: ContainerdConfig): string | undefined {
  return [config, ...importsOf(files, config)].map(({ configPath }) => configPath).findLast(Boolean)
}

function importsOf(files: SetupFiles, { file, imports }: ContainerdConfig): ContainerdConfig[] {
  const patterns = imports.map((pattern) => posix.resolve(posix.dirname(file.path), pattern))
  return patterns
    .flatMap((pattern) => matching(files, pattern))
    .filter((path) => path !== file.path)
    .map((path) => readContainerdConfig(path, files.read(path) ?? ''))
}

/** Files of a pattern with `*` in its last part. */
function matching(files: SetupFiles, pattern: string): string[] {
  const parts = posix.basename(pattern).split('*')
  if (parts.length === 1) return [pattern]
  const form = new RegExp(`^${parts.map((part) => RegExp.escape(part)).join('[^/]*')}$`)
  const dir = posix.dirname(pattern)
  return files
    .names(dir)
    .filter((name) => form.test(name))
    .map((name) => posix.join(dir, name))
}

function rootsOf(path: string, configPath: string | undefined): string[] {
  if (!configPath) return [CONTAINERD_CERTS]
  const roots = configPath.split(':').filter((root) => root !== '')
  if (roots.length === 0 || !roots.every((root) => posix.isAbsolute(root))) {
    throw refused(`${path}: config_path is no folder: ${configPath}. Nothing was changed.`)
  }
  return roots
}

function hostDirsOf(files: SetupFiles, roots: readonly string[], registries: readonly string[] | undefined): string[] {
  const existing = roots.flatMap((root) => hostDirs(files, root))
  const dirs =
    registries === undefined
      ? [hostDir(files, roots, DEFAULT_HOST), ...existing]
      : [
          ...registries.map((registry) => hostDir(files, roots, registry)),
          ...existing.filter((dir) => files.isSetUp(posix.join(dir, 'hosts.toml'))),
        ]
  return [...new Set(dirs)]
}

function shadowed(
  files: SetupFiles,
  roots: readonly string[],
  { registries }: PlanInit,
  { withoutConfigPath }: { withoutConfigPath: boolean },
): string[] {
  if (registries !== undefined) return []
  const own = roots.flatMap((root) => certificateDirs(files, root)).filter((name) => name !== DEFAULT_HOST)
  const docker = withoutConfigPath ? files.names(DOCKER_CERTS) : []
  return [
    ...own.map((name) => `${name} has certificates but no hosts.toml, so no mirror: name it with --registry.`),
    ...(docker.length === 0
      ? []
      : [
          `containerd 2.2 and later read ${DOCKER_CERTS} too as long as there was no config_path: ${docker.join(', ')}.`,
        ]),
  ]
}
