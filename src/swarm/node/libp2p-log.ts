/** libp2p's own log, switched off: its lines are about every stream and cost even when nobody reads them. */
import type { ComponentLogger, Logger } from '@libp2p/interface'

const silent: Logger = Object.assign(() => {}, {
  error: () => {},
  trace: () => {},
  enabled: false,
  newScope: () => silent,
})

export const silentLibp2pLog: ComponentLogger = { forComponent: () => silent }
