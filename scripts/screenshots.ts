/** Pictures of the status page for the documentation: `npm run screenshots`. They show real agents: see `staged-fleet`. */
// first: what is imported below keeps the clock that it finds
import './screenshots/moved-clock.ts'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { browserUnavailable, startBrowser } from '../test/fixtures/browser.ts'
import { smallPng } from './screenshots/small-png.ts'
import { StagedFleet } from './screenshots/staged-fleet.ts'

const [DIRECTORY = fileURLToPath(new URL('../docs/images', import.meta.url))] = process.argv.slice(2)
const MAX_BYTES = 150_000

const VIEWS = [
  { file: 'page-light.png', width: 1280, height: 1240, colorScheme: 'light', scale: 1 },
  { file: 'page-dark.png', width: 1280, height: 1240, colorScheme: 'dark', scale: 1 },
  { file: 'page-phone.png', width: 360, height: 780, colorScheme: 'dark', scale: 2 },
] as const

const reason = browserUnavailable()
if (reason !== undefined) throw new Error(reason)
await mkdir(DIRECTORY, { recursive: true })
await using stack = new AsyncDisposableStack()
const fleet = stack.use(await StagedFleet.start())
const browser = stack.adopt(await startBrowser(), (one) => one.close())
const pages = await Promise.all(
  VIEWS.map(async ({ width, height, colorScheme, scale, file }) => {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme, deviceScaleFactor: scale })
    const page = await context.newPage()
    await page.goto(fleet.pageUrl)
    return { page, path: join(DIRECTORY, file) }
  }),
)
await fleet.passHour()
await fleet.beginPulls()
const taken = await Promise.all(pages.map(async ({ page, path }) => ({ path, png: await page.screenshot() })))
for (const { path, png } of taken) {
  const picture = smallPng(png)
  await writeFile(path, picture)
  const size = picture.length
  console.log(`${path}: ${size} bytes`)
  if (size > MAX_BYTES) throw new Error(`${path} is larger than ${MAX_BYTES} bytes`)
}
