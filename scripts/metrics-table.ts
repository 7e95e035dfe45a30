/** Writes docs/metrics.md from the code. */
import { writeFileSync } from 'node:fs'
import { Metrics } from '../src/telemetry/metrics.ts'
import { metricsDocument } from './metrics/metrics-document.ts'

writeFileSync(new URL('../docs/metrics.md', import.meta.url), metricsDocument(new Metrics({ version: '' }).tree))
// the sampler of the event loop's use would keep it running
process.exit()
