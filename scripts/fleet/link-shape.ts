/**
 * How a link is shaped: a token bucket on the egress of both its ends.
 * https://man7.org/linux/man-pages/man8/tc-tbf.8.html
 */

const ETHERNET_HEADER = 14
/** IPv4 without options, TCP with timestamps. */
const TCP_IP_HEADERS = 20 + 32
/** What may go out at once after a pause, as time at the full rate. Short beside everything that is measured. */
const BURST_SECONDS = 0.004
/**
 * Segments leave a host's network card and reach the next one's many at a time (segmentation and receive offload). A bucket that is smaller than such a bundle takes it to pieces, and
 * each piece costs the machine on which all of the fleet runs what a card would do: a bundle and its headers fit.
 */
const BUNDLE_BYTES = 70_000
/** In a bundle at least, whatever the rate of a connection: at a low one the kernel would send them in twos. */
export const MIN_BUNDLE_SEGMENTS = 16

/** A port's buffer does not get smaller with its rate; with less, segments of a few connections keep being sent again. */
const MIN_QUEUE_BYTES = 128 * 1024

export interface ShapeInit {
  readonly mtu: number
  /** How much may wait in front of the link, as time at the full rate; never less than 128 KiB. */
  readonly queueMs: number
}

/** Arguments of `tc qdisc add dev X root`. @param rate bits per second, of whole frames */
export function tokenBucketArguments(rate: number, { mtu, queueMs }: ShapeInit): string[] {
  const frame = mtu + ETHERNET_HEADER
  // a bucket smaller than a frame lets nothing through
  const burst = Math.max(BUNDLE_BYTES, 2 * frame, Math.ceil((rate / 8) * BURST_SECONDS))
  const queue = Math.max(MIN_QUEUE_BYTES, Math.ceil((rate / 8) * (queueMs / 1000)))
  return ['tbf', 'rate', `${rate}bit`, 'burst', `${burst}b`, 'limit', `${burst + queue}b`]
}

/** Bytes on the wire for each byte that TCP carries, when segments are full. */
export function wireFactor(mtu: number): number {
  return (mtu + ETHERNET_HEADER) / (mtu - TCP_IP_HEADERS)
}
