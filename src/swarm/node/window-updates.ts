/**
 * A stream of @libp2p/yamux answers every piece of data with a window update: a frame of its own, encrypted and written for each message of a hundred bytes. Here
 * it waits until half of the window is used, which leaves the sender as much as it may send within a round trip.
 * https://github.com/hashicorp/yamux/blob/master/spec.md#flow-control
 */
import { StreamState, YamuxStream } from '@libp2p/yamux/stream'

interface Window {
  readonly state: StreamState
  /** Bytes: the window, and what is left of it. */
  readonly recvWindow: number
  readonly recvWindowCapacity: number
}

/** For all streams of this process; more than once is the same as once. */
export function sendFewWindowUpdates(): void {
  YamuxStream.prototype.sendWindowUpdate = sendWindowUpdate
}

const sendAlways: (this: YamuxStream) => void = Reflect.get(YamuxStream.prototype, 'sendWindowUpdate')

function sendWindowUpdate(this: YamuxStream): void {
  const { state, recvWindow, recvWindowCapacity } = this as unknown as Window
  // opening and accepting a stream are updates too
  if (state === StreamState.Established && recvWindowCapacity * 2 > recvWindow) return
  sendAlways.call(this)
}
