import type { PlanInit } from '../../src/setup/setup-types.ts'

export const MIRROR = { url: 'http://127.0.0.1:5050', address: '127.0.0.1:5050', plainHttp: true }

export const PLAN_INIT: PlanInit = {
  mirror: MIRROR,
  registries: undefined,
  knownRegistries: [],
  defaultRegistry: 'docker.io',
  file: undefined,
}
