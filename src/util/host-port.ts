export interface HostPort {
  /** Without the brackets of an IPv6 address. */
  readonly host: string
  readonly port: number
}

const FORM = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/

/** `host:port` or `[ipv6]:port`; undefined when the text is neither. Port 0 is allowed. */
export function parseHostPort(text: string): HostPort | undefined {
  const [, address, name, digits] = FORM.exec(text) ?? []
  const host = address ?? name
  const port = Number(digits)
  return host === undefined || port > 65_535 ? undefined : { host, port }
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
