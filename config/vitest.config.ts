import { defineConfig } from 'vitest/config'

// For the workers, and what they start: each test file runs in a process of its own, and loads the same modules again.
process.env['NODE_COMPILE_CACHE'] ??= new URL('../node_modules/.cache/shoal', import.meta.url).pathname

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/{unit,contract,integration,e2e}/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    restoreMocks: true,
  },
})
