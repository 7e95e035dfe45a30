import type { DiskSpace, HostView, HttpHead, Reached } from '../../src/doctor/host-view.ts'

/** A host on which everything works, until the test says otherwise. */
export class FakeHostView implements HostView {
  names: Record<string, readonly string[]> = {}
  reached: (host: string, port: number) => Reached = () => 'reached'
  head: (url: string) => Promise<HttpHead> = async () => ({ status: 200, date: this.time })
  disk: DiskSpace = { freeBytes: 2 ** 40, totalBytes: 2 ** 41, inodes: 1e6, freeInodes: 9e5 }
  error: string | undefined
  paths = new Set<string>()
  programs = new Set<string>()
  own: string[] = []
  time = 1_700_000_000_000
  readonly asked: string[] = []

  async resolve(name: string): Promise<readonly string[]> {
    const found = this.names[name]
    if (found === undefined) throw new Error(`no address for ${name}`)
    return found
  }

  async connect({ host, port }: { host: string; port: number }): Promise<Reached> {
    this.asked.push(`${host}:${port}`)
    return this.reached(host, port)
  }

  get(url: string): Promise<HttpHead> {
    this.asked.push(url)
    return this.head(url)
  }

  async space(): Promise<DiskSpace> {
    if (this.error === 'ENOENT') throw new Error('no such directory')
    return this.disk
  }

  async writeError(): Promise<string | undefined> {
    return this.error
  }

  async exists(path: string): Promise<boolean> {
    return this.paths.has(path)
  }

  async hasProgram(name: string): Promise<boolean> {
    return this.programs.has(name)
  }

  ownAddresses(): readonly string[] {
    return this.own
  }

  now(): number {
    return this.time
  }
}
