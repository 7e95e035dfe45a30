import { arch, cpus, freemem, platform, release, totalmem, uptime } from 'node:os'
import type { LoadedConfig } from '../../doctor/config-check.ts'
import { mapTexts, withoutCredentials } from '../../util/scrub.ts'
import type { AdminClient } from '../admin-client.ts'
import { json } from '../output.ts'
import { writeBundle } from '../support/bundle-file.ts'
import { HiddenHosts } from '../support/hidden-hosts.ts'
import { HiddenNames } from '../support/hidden-names.ts'

export interface SupportBundleContext {
  readonly client: Pick<AdminClient, 'status' | 'peers' | 'support' | 'metrics'>
  readonly loaded: LoadedConfig
  /** What `shoal doctor --json` says, whether it is content or not. */
  readonly diagnose: () => Promise<string>
  readonly print: (text: string) => void
  readonly now: () => Date
}

export interface SupportBundleInit {
  /** Undefined: a name with the time, in this directory. */
  readonly path: string | undefined
  /** Whether names of repositories and tags stay. */
  readonly withNames: boolean
  /** Whether names and addresses of hosts stay. */
  readonly withHosts: boolean
  /** Of Shoal, as this command has it. */
  readonly version: string
}

const README = `What \`shoal support-bundle\` gathered on one host.

agent/status.json, peers.json   what the agent said of itself and of the others it knows
agent/config.json               the configuration in force; config.json: as the command reads it now
agent/log.ndjson                its last lines
agent/metrics.txt               its metrics, as Prometheus reads them
agent/process.json              of Node: memory, handles, limits
doctor.json                     what \`shoal doctor\` found
host.json                       versions and size of the host
problems.txt                    what could not be had, and why

Secrets, credentials and tokens are left out. Ids of agents, their zones and paths of files are in it.
`
const HIDDEN = 'are marks: the same for the same one, and only in here.'
const KEPT = 'were left as they are, as asked.'

/** Gathers what somebody needs who is to find out what is wrong; what can't be had is left out. @throws CliError */
export async function supportBundle(context: SupportBundleContext, init: SupportBundleInit): Promise<void> {
  const { client, loaded, diagnose, print, now } = context
  const at = now()
  const names = new HiddenNames()
  const hosts = new HiddenHosts()
  const clean = (text: string, key = ''): string => {
    const safe = withoutCredentials(text)
    return init.withNames ? safe : names.hide(safe, key)
  }
  const cleanJson = (value: unknown): string => {
    hosts.learnJson(value)
    return json(mapTexts(value, clean))
  }
  const files = new Map([['README.txt', readme(init)]])
  const problems: string[] = []
  const add = async (name: string, content: () => Promise<string>): Promise<void> => {
    try {
      files.set(name, await content())
    } catch (error) {
      problems.push(clean(`${name}: ${error instanceof Error ? error.message : String(error)}`))
    }
  }
  await add('host.json', async () => cleanJson(hostFacts(init.version)))
  await add('config.json', async () => {
    if ('error' in loaded) throw loaded.error
    return cleanJson(JSON.parse(JSON.stringify(loaded.config)))
  })
  await add('agent/status.json', async () => cleanJson(await client.status()))
  await add('agent/peers.json', async () => cleanJson(await client.peers()))
  await add('agent/metrics.txt', async () => clean(await client.metrics()))
  let support: Awaited<ReturnType<typeof client.support>> | undefined
  await add('agent/config.json', async () => {
    support = await client.support()
    return cleanJson(support.config)
  })
  if (support !== undefined) {
    const { log, process } = support
    files.set('agent/log.ndjson', log.map((line) => `${cleanLine(line, clean, hosts)}\n`).join(''))
    files.set('agent/process.json', cleanJson(process))
  }
  await add('doctor.json', async () => cleanJson(JSON.parse(await diagnose())))
  if (problems.length > 0) files.set('problems.txt', `${problems.join('\n')}\n`)

  if (!init.withHosts) {
    for (const content of files.values()) hosts.learn(content)
    for (const [name, content] of files) files.set(name, hosts.hide(content))
  }
  const folder = `shoal-support-${at.toISOString().replaceAll(/[:.]/g, '-')}`
  const path = init.path ?? `${folder}.tar.gz`
  await writeBundle(path, files, { folder, at })
  print(`${path}: ${files.size} files. Look through it before you hand it on.\n`)
  for (const problem of problems) print(`not in it: ${problem}\n`)
}

function readme({ withNames, withHosts }: SupportBundleInit): string {
  const repositories = `Names of repositories and tags ${withNames ? KEPT : HIDDEN}`
  return `${README}${repositories}\nNames and addresses of hosts ${withHosts ? KEPT : HIDDEN}\n`
}

function cleanLine(line: string, clean: (text: string, key?: string) => string, hosts: HiddenHosts): string {
  try {
    const fields: unknown = JSON.parse(line)
    hosts.learnJson(fields)
    return JSON.stringify(mapTexts(fields, clean))
  } catch {
    // cut because it was long
    return clean(line)
  }
}

function hostFacts(version: string): object {
  const [processor] = cpus()
  return {
    shoal: version,
    node: process.version,
    platform: platform(),
    arch: arch(),
    release: release(),
    cores: cpus().length,
    processor: processor?.model,
    memoryBytes: totalmem(),
    freeBytes: freemem(),
    upSeconds: Math.round(uptime()),
  }
}
