import type { Swarm } from './ports.ts'

/** Stands for the swarm where there is none: nobody else is there, and nobody is told anything. */
export const noSwarm: Swarm = {
  hasPeers: false,
  peerCount: 0,
  join: (_blob, events) => {
    let hasLeft = false
    // Not from within the call: whoever joins holds nothing yet to leave with.
    queueMicrotask(() => {
      if (!hasLeft) events.searched()
    })
    return {
      has: () => {},
      claim: () => {},
      lease: () => {},
      settle: () => {},
      leave: () => {
        hasLeft = true
      },
    }
  },
  announce: () => {},
  fetchSmall: async () => undefined,
  announceTag: () => {},
  findTag: async () => undefined,
  findAdmission: async () => undefined,
  findLink: async () => false,
  hasBlob: async () => false,
}
