/**
 * A folder with a folder per registry, as containerd and docker with the containerd store read it. A registry's own
 * folder excludes `_default`, and a hosts.toml excludes that certificates beside it are used by themselves.
 */
import { posix } from 'node:path'
import { addHost, hostBlock } from './hosts-toml.ts'
import type { Mirror, PlannedFile, SetupFiles } from './setup-types.ts'
import { tomlString } from './toml-file.ts'

export const DEFAULT_HOST = '_default'

export interface HostsFileInit {
  readonly mirror: Mirror
  /** The client's name, for the first line of a new file. */
  readonly client: string
  /** The registry itself may be asked without TLS, as the client does by another of its settings. */
  readonly insecure?: string | undefined
}

/** The hosts.toml of the registry in this folder. @throws ShoalError SETUP_REFUSED */
export function planHostsFile(files: SetupFiles, dir: string, init: HostsFileInit): PlannedFile {
  const path = posix.join(dir, 'hosts.toml')
  const before = files.read(path)
  // an empty file counts as none
  if (before !== undefined && before !== '') return { path, before, after: addHost(path, before, init.mirror) }
  const certificates = certificateLines(files.names(dir))
  const insecure =
    init.insecure === undefined ? [] : [`server = ${tomlString(`http://${init.insecure}`)}`, 'skip_verify = true']
  const root = [...insecure, ...certificates].map((line) => `${line}\n`).join('')
  const head = `# by \`shoal setup ${init.client}\`; \`shoal setup ${init.client} --undo\` takes it back\n`
  return { path, before, after: `${head}${root}\n${hostBlock(init.mirror)}` }
}

/** Folder of a registry in one of `roots`; the one that exists, else where it would be looked for. */
export function hostDir(files: SetupFiles, roots: readonly string[], registry: string): string {
  // containerd takes host_port_ before host:port
  const names = [registry.replace(/:(\d+)$/, '_$1_'), registry]
  for (const root of roots) {
    const found = names.find((name) => files.names(root).includes(name))
    if (found !== undefined) return posix.join(root, found)
  }
  return posix.join(roots[0] ?? '/', registry)
}

/** The folders of `root` that have a hosts.toml. */
export function hostDirs(files: SetupFiles, root: string): string[] {
  return files
    .names(root)
    .map((name) => posix.join(root, name))
    .filter((dir) => files.names(dir).includes('hosts.toml'))
}

/** Those of `root` that hold certificates only. */
export function certificateDirs(files: SetupFiles, root: string): string[] {
  return files.names(root).filter((name) => {
    const names = files.names(posix.join(root, name))
    return !names.includes('hosts.toml') && certificateLines(names).length > 0
  })
}

/** What the client would have used without a hosts.toml: https://docs.docker.com/engine/security/certificates/ */
function certificateLines(names: readonly string[]): string[] {
  const authorities = names.filter((name) => name.endsWith('.crt')).map(tomlString)
  const pairs = names
    .filter((name) => name.endsWith('.cert'))
    .map((name) => [name, names.find((key) => key === name.replace(/\.cert$/, '.key')) ?? name])
    .map((pair) => `[${pair.map(tomlString).join(', ')}]`)
  return [
    ...(authorities.length > 0 ? [`ca = [${authorities.join(', ')}]`] : []),
    ...(pairs.length > 0 ? [`client = [${pairs.join(', ')}]`] : []),
  ]
}
