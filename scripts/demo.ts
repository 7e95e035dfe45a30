/**
 * Shows on one host what agents do: `npm run demo`, or a part of it with `npm run demo -- fleet` or `-- clients`. Every
 * number is measured in this run.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endAll, ProgramFailure } from '../test/fixtures/child.ts'
import { showClients } from './demo-clients.ts'
import { showFleet } from './demo-fleet.ts'
import { DemoReport } from './demo-report.ts'

const INTERRUPTED = 130
const PARTS: Record<string, (report: DemoReport, signal: AbortSignal) => Promise<void>> = {
  fleet: showFleet,
  clients: showClients,
}

const wanted = process.argv.slice(2)
const unknown = wanted.find((name) => !(name in PARTS))
if (unknown !== undefined) {
  console.error(`no part ${unknown}; there are: ${Object.keys(PARTS).join(', ')}`)
  process.exit(2)
}

const report = new DemoReport()
const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interruption.signal.aborted) process.exit(INTERRUPTED)
    report.say('\nCleaning up…')
    report.silence()
    interruption.abort(new Error('interrupted'))
    // whatever is under way fails then, and is cleaned up as after any failure
    void endAll()
  })
}

// everything that is started here puts its files below this
const dir = await mkdtemp(join(tmpdir(), 'shoal-demo-'))
process.env['TMPDIR'] = dir
const begun = performance.now()
try {
  for (const [name, show] of Object.entries(PARTS)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    interruption.signal.throwIfAborted()
    await show(report, interruption.signal)
  }
  const seconds = Math.round((performance.now() - begun) / 1000)
  const { wrong } = report
  const verdict = wrong.length === 0 ? 'Everything was as it should be.' : 'Not as it should be:'
  report.say(`\n${[`${verdict} (${seconds} s)`, ...wrong].join('\n  ')}`)
  process.exitCode = wrong.length === 0 ? 0 : 1
} catch (error) {
  const isOfHost = error instanceof ProgramFailure
  const told = isOfHost ? `${error.message}\nIs this host busy otherwise? Then try again.` : (error as Error).stack
  report.say(`\nThe demo itself failed: ${told}`)
  process.exitCode = 1
} finally {
  await endAll()
  await rm(dir, { recursive: true, force: true, maxRetries: 10 })
  if (interruption.signal.aborted) process.exitCode = INTERRUPTED
}
