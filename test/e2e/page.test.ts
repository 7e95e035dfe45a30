import { readFile } from 'node:fs/promises'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { shortId } from '../../src/facade/page/short-id.js'
import { AgentProcess } from '../fixtures/agent-process.ts'
import { browserUnavailable, startBrowser } from '../fixtures/browser.ts'
import { FaultOrigin } from '../fixtures/fault-origin.ts'
import { Fleet } from '../fixtures/fleet.ts'
import { buildImage } from '../fixtures/image.ts'
import { pullImage } from '../fixtures/pull.ts'

const MIB = 1024 * 1024
const reason = browserUnavailable()
if (reason !== undefined) process.stderr.write(`not run: the page in a browser: ${reason}\n`)
const CHECKS = await readFile(new URL('../fixtures/page-checks.js', import.meta.url), 'utf8')
const LONG = `team/${'a-very-long-name-of-a-repository-'.repeat(4)}x`
const WAIT = { timeout: 20_000 }

describe.skipIf(reason !== undefined)('the status page in a browser', () => {
  let origin: FaultOrigin
  let fleet: Fleet<AgentProcess>
  let browser: Browser
  const opened: Page[] = []
  const complaints: string[] = []

  beforeAll(async () => {
    origin = await FaultOrigin.start()
    const section = { default: origin.registry, registries: { [origin.registry]: { plainHttp: true } } }
    const zones = ['rack-a', 'rack-b']
    fleet = await Fleet.start({
      count: 2,
      start: (swarm, index) =>
        AgentProcess.start({ config: { origin: section, swarm: { ...swarm, zone: zones[index] ?? '' } } }),
    })
    browser = await startBrowser()
    await publish('app', [3 * MIB])
    await pullImage({ facade: fleet.at(1).facade }, 'app', 'v1')
  })
  afterAll(async () => {
    await browser?.close()
    await fleet?.[Symbol.asyncDispose]()
    await origin?.close()
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((page) => page.context().close()))
    if (complaints.length > 0) throw new Error(`the browser complains: ${complaints.splice(0).join('; ')}`)
  })

  async function publish(repository: string, layerBytes: readonly number[]): Promise<void> {
    const image = await buildImage({ seed: repository, layerBytes })
    for (const bytes of image.blobs.values()) origin.addBlob(bytes)
    for (const { digest, mediaType, bytes } of image.manifests) {
      origin.addManifest(repository, digest === image.digest ? 'v1' : undefined, bytes, mediaType)
    }
  }

  /** Whatever the browser complains of fails the test, unless it is about an agent that is away. */
  async function open(
    options: BrowserContextOptions & { readonly mayBeAway?: boolean; readonly hasClock?: boolean } = {},
  ): Promise<Page> {
    const page = await (await browser.newContext(options)).newPage()
    opened.push(page)
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('console', (message) => {
      const isAway = options.mayBeAway === true && /ERR_|Failed to load resource/.test(message.text())
      if (['error', 'warning'].includes(message.type()) && !isAway) complaints.push(message.text())
    })
    if (options.hasClock === true) await page.clock.install()
    await page.goto(`${fleet.first.adminUrl}/`)
    await page.getByRole('status').getByText('Live').waitFor(WAIT)
    return page
  }

  const check = (page: Page): Promise<string[]> => page.evaluate<string[]>(CHECKS)

  it('shows this agent, its peers by zone, its store and an empty list of transfers', async () => {
    const page = await open()
    await page.getByText(/What clients pull through 127\.0\.0\.1:\d+/).waitFor(WAIT)
    await page.getByRole('img', { name: /This agent and 1 connected peer/ }).waitFor(WAIT)
    await page.getByText('Peers as a table').click()
    const row = page.getByRole('region', { name: 'Table of peers' }).getByRole('row', { name: /rack-b connected/ })
    await row.waitFor(WAIT)
    expect(await page.title()).toBe('Shoal')
  })

  it.each([320, 600])('names each peer in a picture of %d pixels as the tables do, and cuts no name', async (width) => {
    const page = await open({ viewport: { width, height: 640 } })
    const peers = ['7WmLBpXtQ2kS', '8WmLBpXtQ2kS', 'QWmMWWWWWWWW'].map((end) => `12D3KooW${'x'.repeat(32)}${end}`)
    const shown = await page.evaluate<{ names: string[]; cut: string[] }>(`(async () => {
      const { swarmPicture } = await import('/page/swarm-picture.js')
      const { shortId } = await import('/page/short-id.js')
      const ids = ${JSON.stringify([...peers, ...peers, ...peers])}
      const peers = ids.map((id) => ({ id, zone: '', address: '', receivedBytes: 1, sentBytes: 0, isConnected: true }))
      const traffic = { fromOrigin: 0, fromPeers: 0, toPeers: 0 }
      const home = document.getElementById('swarm-picture')
      const picture = swarmPicture({ swarm: { peers, connected: 9, banned: 0 }, traffic, moving: new Set() }, home.clientWidth)
      home.replaceChildren(picture)
      const box = home.getBoundingClientRect()
      const texts = [...picture.querySelectorAll('text')].filter((text) => ids.some((id) => shortId(id).endsWith(text.textContent)))
      const isCut = (text) => {
        const { left, right } = text.getBoundingClientRect()
        return left < box.left || right > box.right
      }
      return { names: texts.map((text) => text.textContent), cut: texts.filter(isCut).map((text) => text.textContent) }
    })()`)
    expect(shown.cut).toEqual([])
    expect(shown.names.toSorted()).toEqual([...peers, ...peers, ...peers].map(shortId).toSorted())
  })

  it('loads nothing from elsewhere, and lets nothing else run', async () => {
    const page = await open()
    const urls = await page.evaluate<string[]>('performance.getEntriesByType("resource").map((one) => one.name)')
    expect(urls.length).toBeGreaterThan(5)
    for (const url of urls) expect(new URL(url).origin).toBe(fleet.first.adminUrl)
    const tried = page.evaluate(`new Promise((resolve) => {
      addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective))
      document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = true' }))
    })`)
    expect(await tried).toBe('script-src-elem')
    expect(await page.evaluate('window.ran')).toBeUndefined()
    expect(complaints.splice(0).join()).toMatch(/Content Security Policy/)
  })

  it('shows a transfer with its chunks filling in the colour of their source, and then what was pulled', async () => {
    await publish(LONG, [6 * MIB])
    origin.inject({ fault: { kind: 'slow', bytesPerSecond: 2 * MIB }, match: { path: /very-long/ }, times: 1_000 })
    const page = await open({ viewport: { width: 320, height: 640 } })
    const pulled = pullImage({ facade: fleet.first.facade }, LONG, 'v1')
    const transfer = page.locator('#running > li').filter({ hasText: /of 6\.\d\d MiB/ })
    await transfer.getByText(`${origin.registry}/${LONG}:v1`).waitFor(WAIT)
    await transfer.getByRole('img', { name: /Chunks: \d+ % from registries.*missing/ }).waitFor(WAIT)
    expect(await transfer.locator('path.origin').getAttribute('d')).toMatch(/^M0 0h/)
    await transfer.getByText(/from registries/).waitFor(WAIT)
    expect(await check(page)).toEqual([])
    await pulled
    const ended = page.locator('#ended > li').filter({ hasText: LONG })
    await ended.getByRole('img', { name: 'Chunks: 100 % from registries' }).waitFor(WAIT)
    await page.locator('#running > li').waitFor({ state: 'detached', ...WAIT })
    await page
      .locator('#pulls > li')
      .filter({ hasText: LONG })
      .getByText(/2 of 2 blobs/)
      .waitFor(WAIT)
  })

  it('tells bytes from peers', async () => {
    origin.inject({ fault: { kind: 'slow', bytesPerSecond: MIB / 2 }, match: { path: /\/app\/blobs/ }, times: 1_000 })
    const page = await open()
    await pullImage({ facade: fleet.first.facade }, 'app', 'v1')
    const ended = page.locator('#ended > li').filter({ hasText: '/app:v1' })
    await ended.getByRole('img', { name: /from peers/ }).waitFor(WAIT)
    await page
      .locator('#swarm-picture .link.peer')
      .first()
      .waitFor({ state: 'attached', ...WAIT })
    await page.locator('#hour-chart .bar.peer').first().waitFor(WAIT)
    await page.getByText('The last hour as a table').click()
    const row = page.getByRole('row', { name: /0 to 10 [1-9][\d.]* [KM]iB/ })
    await row.waitFor(WAIT)
    expect(await row.getByRole('cell').first().textContent()).toMatch(/[KM]iB$/)
  })

  it('says that the agent is away, and goes on by itself when it is back', async () => {
    const page = await open({ mayBeAway: true })
    await fleet.first.stop()
    await page
      .getByRole('status')
      .getByText(/does not answer\. This is from/)
      .waitFor(WAIT)
    expect(await page.title()).toBe('Shoal (away)')
    expect(await check(page)).toEqual([])
    await fleet.first.restart()
    await page.getByRole('status').getByText('Live').waitFor(WAIT)
    await page.getByText('No image was pulled since the agent started.').waitFor(WAIT)
  })

  it('gives its connection back while nobody looks, and goes on when somebody does', async () => {
    const page = await open({ hasClock: true })
    const turn = (isHidden: boolean): Promise<unknown> =>
      page.evaluate(`Object.defineProperty(document, 'hidden', { get: () => ${isHidden}, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))`)
    const ended = page.waitForEvent('requestfailed', (one) => one.url().endsWith('/api/events'))
    await turn(true)
    await page.clock.fastForward(61_000)
    await ended
    const opened = page.waitForResponse((one) => one.url().endsWith('/api/events'))
    await turn(false)
    expect((await opened).status()).toBe(200)
  })

  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 320],
    ['dark', 320],
  ] as const)(
    'holds what people with weak eyes or a screen reader need: %s, %i px wide',
    async (colorScheme, width) => {
      const page = await open({ colorScheme, viewport: { width, height: 900 } })
      for (const summary of await page.locator('summary').all()) if (await summary.isVisible()) await summary.click()
      await page.getByRole('img', { name: /This agent and/ }).waitFor(WAIT)
      expect(await check(page)).toEqual([])
      const background = await page.evaluate('getComputedStyle(document.body).backgroundColor')
      expect(background).toBe(colorScheme === 'light' ? 'rgb(247, 246, 242)' : 'rgb(14, 19, 21)')
    },
  )

  it('can be walked through with the keyboard, and shows where one is', async () => {
    const page = await open({ viewport: { width: 1280, height: 900 } })
    const walked: unknown[] = []
    for (let step = 0; step < 3; step++) {
      await page.keyboard.press('Tab')
      walked.push(
        await page.evaluate(`(() => {
          const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement)
          return [document.activeElement.textContent, outlineStyle, parseFloat(outlineWidth) >= 2]
        })()`),
      )
    }
    expect(walked).toEqual([
      ['Skip to transfers', 'solid', true],
      ['Peers as a table', 'solid', true],
      ['The last hour as a table', 'solid', true],
    ])
    await page.keyboard.press('Enter')
    expect(await page.getByRole('region', { name: 'The last hour by minutes' }).isVisible()).toBe(true)
    await page.reload()
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    expect(await page.evaluate('document.activeElement.id')).toBe('transfers')
  })
})
