import type { BlobSwarm, Swarm } from './ports.ts'

const nobody: BlobSwarm = {
  has: () => {},
  claim: () => {},
  settle: () => {},
  leave: () => {},
}

/** Stands for the swarm where there is none: nobody else is there, and nobody is told anything. */
export const noSwarm: Swarm = {
  hasPeers: false,
  join: (_blob, events) => {
    // Never from within the call: whoever joins holds nothing yet to leave with.
    queueMicrotask(() => events.searched())
    return nobody
  },
  announce: () => {},
  fetchSmall: async () => undefined,
  announceTag: () => {},
  findTag: async () => undefined,
  findAdmission: async () => undefined,
  findLink: async () => false,
  hasBlob: async () => false,
}
