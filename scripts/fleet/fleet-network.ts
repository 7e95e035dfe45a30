/**
 * A network on one machine: a namespace for each member with one link, all links on one bridge, or on a bridge for each zone
 * with a border to the first. The bridges are in a namespace of their own. Owns all of it until it is closed.
 */
import { run } from '../../test/fixtures/child.ts'
import { MIN_BUNDLE_SEGMENTS, type ShapeInit, tokenBucketArguments } from './link-shape.ts'
import { addNamespace, namespaceOf, removeNamespaces, runInside } from './namespaces.ts'

const CORE = 'core'
const SUBNET = '10.213'
const PREFIX_LENGTH = 16
/** Of whoever serves libp2p: all that agents tell each other. */
export const CONTROL_PORT = 5051

export interface LinkSpec {
  readonly name: string
  readonly zone: number
  /** Bits per second, each way. */
  readonly rate: number
}

export interface NetworkInit extends ShapeInit {
  readonly links: readonly LinkSpec[]
  /** Between the first zone and each other one; undefined: there is one zone. */
  readonly zones: { readonly count: number; readonly rate: number } | undefined
  readonly congestion: string | undefined
}

/** Bytes that have passed a link, as the interface counts them: large segments have one header. */
export interface LinkTraffic {
  readonly received: number
  readonly sent: number
}

export class FleetNetwork implements AsyncDisposable {
  readonly #init: NetworkInit

  private constructor(init: NetworkInit) {
    this.#init = init
  }

  /** The links have no limit yet. */
  static async create(init: NetworkInit): Promise<FleetNetwork> {
    const network = new FleetNetwork(init)
    try {
      await network.#build()
      return network
    } catch (error) {
      await network[Symbol.asyncDispose]()
      throw error
    }
  }

  /** IPv4 address of a member. */
  address(name: string): string {
    const number = this.#init.links.findIndex((link) => link.name === name) + 1
    if (number === 0) throw new Error(`no link ${name}`)
    return `${SUBNET}.${number >> 8}.${number & 255}`
  }

  /** Limits all links from now on, both ways. */
  async shape(): Promise<void> {
    const { links, zones } = this.#init
    for (const { name, rate } of links) {
      const bucket = tokenBucketArguments(rate, this.#init)
      await run('tc', ['-n', namespaceOf(CORE), 'qdisc', 'add', 'dev', name, 'root', ...bucket])
      await run('tc', ['-n', namespaceOf(name), 'qdisc', 'add', 'dev', 'eth0', 'root', ...bucket])
    }
    for (let zone = 1; zone < (zones?.count ?? 1); zone++) {
      const bucket = tokenBucketArguments(zones?.rate ?? 0, this.#init)
      for (const end of [`in${zone}`, `out${zone}`])
        await run('tc', ['-n', namespaceOf(CORE), 'qdisc', 'add', 'dev', end, 'root', ...bucket])
    }
  }

  /**
   * Nothing passes this link any more. `down`: a pulled cable, others find no such address after a while; `drop`: as behind
   * a firewall, nobody is told anything.
   */
  async cut(name: string, how: 'down' | 'drop'): Promise<void> {
    if (how === 'down') {
      await run('ip', ['-n', namespaceOf(CORE), 'link', 'set', name, 'down'])
      return
    }
    for (const chain of ['INPUT', 'OUTPUT']) await runInside(name, 'iptables', ['-I', chain, '-j', 'DROP'])
  }

  /** By member, and `in1`, `in2` … for what came into a zone over its border. */
  async traffic(): Promise<Map<string, LinkTraffic>> {
    const text = await run('ip', ['-n', namespaceOf(CORE), '-s', '-j', 'link', 'show', 'type', 'veth'])
    const links = JSON.parse(text) as { ifname: string; stats64: { rx: { bytes: number }; tx: { bytes: number } } }[]
    // what the core's end sends is what the member receives
    return new Map(links.map(({ ifname, stats64 }) => [ifname, { received: stats64.tx.bytes, sent: stats64.rx.bytes }]))
  }

  /** Bytes of whole frames that a member has sent since the links are limited, every segment with its headers. */
  async wireBytesSent(name: string): Promise<number> {
    const text = await run('tc', ['-n', namespaceOf(name), '-s', '-j', 'qdisc', 'show', 'dev', 'eth0'])
    const queues = JSON.parse(text) as { kind: string; bytes: number }[]
    return queues.find(({ kind }) => kind === 'tbf')?.bytes ?? 0
  }

  /** Bytes to and from the port on which agents talk, so far, without those of the lane. */
  async controlBytes(name: string): Promise<number> {
    const rules = await runInside(name, 'iptables-save', ['-c'])
    return [...rules.matchAll(/^\[\d+:(\d+)\] -A/gm)].reduce((sum, [, bytes]) => sum + Number(bytes), 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeNamespaces()
  }

  async #build(): Promise<void> {
    const { links, zones } = this.#init
    const core = (...args: string[]): Promise<string> => run('ip', ['-n', namespaceOf(CORE), ...args])
    await addNamespace(CORE)
    await bridgesWithoutRules()
    await roomForNeighbours()
    for (let zone = 0; zone < (zones?.count ?? 1); zone++) {
      await core('link', 'add', 'name', `zone${zone}`, 'type', 'bridge', 'mcast_snooping', '0')
      await core('link', 'set', `zone${zone}`, 'up')
      if (zone === 0) continue
      await core('link', 'add', 'name', `in${zone}`, 'type', 'veth', 'peer', 'name', `out${zone}`)
      await core('link', 'set', `in${zone}`, 'master', 'zone0', 'up')
      await core('link', 'set', `out${zone}`, 'master', `zone${zone}`, 'up')
    }
    for (const link of links) await this.#connect(link)
  }

  async #connect({ name, zone }: LinkSpec): Promise<void> {
    const { mtu, congestion } = this.#init
    await addNamespace(name)
    const ends = ['name', name, 'mtu', `${mtu}`, 'type', 'veth']
    const other = ['peer', 'name', 'eth0', 'netns', namespaceOf(name), 'mtu', `${mtu}`]
    await run('ip', ['-n', namespaceOf(CORE), 'link', 'add', ...ends, ...other])
    await run('ip', ['-n', namespaceOf(CORE), 'link', 'set', name, 'master', `zone${zone}`, 'up'])
    const inside = (...args: string[]): Promise<string> => run('ip', ['-n', namespaceOf(name), ...args])
    // the address of the link itself is all there is to be announced
    await runInside(name, 'sysctl', [
      '-qw',
      'net.ipv6.conf.eth0.disable_ipv6=1',
      'net.ipv4.tcp_no_metrics_save=1',
      `net.ipv4.tcp_min_tso_segs=${MIN_BUNDLE_SEGMENTS}`,
    ])
    await inside('link', 'set', 'lo', 'up')
    await inside('link', 'set', 'eth0', 'up')
    await inside('address', 'add', `${this.address(name)}/${PREFIX_LENGTH}`, 'dev', 'eth0')
    // a route may use what the system's setting does not allow in a namespace
    if (congestion !== undefined)
      await inside('route', 'change', `${SUBNET}.0.0/${PREFIX_LENGTH}`, 'dev', 'eth0', 'congctl', congestion)
    for (const chain of ['INPUT', 'OUTPUT'])
      await runInside(name, 'iptables', ['-A', chain, '-p', 'tcp', '-m', 'multiport', '--ports', `${CONTROL_PORT}`])
  }
}

/**
 * All namespaces share the system's table of neighbours. 48 hosts that each talk with all others need 2,300 places: of the default 1,024 too few, and nobody gets
 * connected with the origin any more. It stays that large.
 */
async function roomForNeighbours(): Promise<void> {
  const keys = [8_192, 16_384, 32_768].map((entries, at) => `net.ipv4.neigh.default.gc_thresh${at + 1}=${entries}`)
  await run('sysctl', ['-qw', ...keys.toReversed()])
}

/** A docker engine that ran here may have loaded what takes every frame of a bridge through the rules of iptables. */
async function bridgesWithoutRules(): Promise<void> {
  const keys = ['iptables', 'ip6tables', 'arptables'].map((kind) => `net.bridge.bridge-nf-call-${kind}=0`)
  await runInside(CORE, 'sysctl', ['-eqw', ...keys])
}
