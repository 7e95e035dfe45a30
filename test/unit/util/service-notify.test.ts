import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ServiceNotifier } from '../../../src/util/service-notify.ts'
import { Child, missing, run } from '../../fixtures/child.ts'

const PID = 77
const SOCKET = '/run/systemd/notify'

describe('ServiceNotifier', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  function notifier(environment: Record<string, string>, send = vi.fn<() => Promise<void>>(() => Promise.resolve())) {
    return { send, notifier: new ServiceNotifier({ send }, { environment, pid: PID }) }
  }

  it('says nothing where no service manager asked', async () => {
    const { send, notifier: quiet } = notifier({ WATCHDOG_USEC: '3000000' })
    await quiet.ready()
    await vi.advanceTimersByTimeAsync(10_000)
    await quiet.stopping()
    expect(send).not.toHaveBeenCalled()
  })

  it('tells that it is ready, three times per limit that it is alive, and that it stops', async () => {
    const { send, notifier: told } = notifier({
      NOTIFY_SOCKET: SOCKET,
      WATCHDOG_USEC: '3000000',
      WATCHDOG_PID: `${PID}`,
    })
    await told.ready()
    expect(send.mock.calls).toEqual([[['READY=1']]])
    await vi.advanceTimersByTimeAsync(3_000)
    expect(send.mock.calls.slice(1)).toEqual(Array.from({ length: 3 }, () => [['WATCHDOG=1']]))
    await told.stopping()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(send.mock.calls.slice(4)).toEqual([[['STOPPING=1']]])
  })

  it.each([
    ['another process', { NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: '3000000', WATCHDOG_PID: '78' }],
    ['no limit', { NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: '0' }],
    ['a limit that is no number', { NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: 'x' }],
  ])('gives no signs of life for %s', async (_, environment) => {
    const { send, notifier: told } = notifier(environment)
    await told.ready()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(send).toHaveBeenCalledTimes(1)
  })

  it('starts no second sign of life while one is on its way, and goes on after one failed', async () => {
    const { send, notifier: told } = notifier({ NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: '3000000' })
    await told.ready()
    const slow = Promise.withResolvers<void>()
    send.mockReturnValueOnce(slow.promise)
    await vi.advanceTimersByTimeAsync(5_000)
    expect(send).toHaveBeenCalledTimes(2)
    slow.reject(new Error('no systemd-notify'))
    await vi.advanceTimersByTimeAsync(1_000)
    expect(send).toHaveBeenCalledTimes(3)
    await told.stopping()
  })

  it('does not hide that the manager could not be told', async () => {
    const { send, notifier: told } = notifier({ NOTIFY_SOCKET: SOCKET })
    send.mockRejectedValueOnce(new Error('ENOENT'))
    await expect(told.ready()).rejects.toThrow('ENOENT')
  })
})

const RECEIVER = `use Socket; socket(S, PF_UNIX, SOCK_DGRAM, 0) && bind(S, sockaddr_un($ARGV[0])) || die; $| = 1;
print "listening\\n"; while (defined recv(S, $m, 4096, 0)) { print "$m\\n" }`

describe.skipIf(missing(['systemd-notify', 'perl'], { root: false }) !== undefined)('sendWithSystemdNotify', () => {
  it('reaches the socket of the service manager', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'shoal-notify-'))
    const socket = join(dir, 'notify')
    const manager = Child.start('perl', ['-e', RECEIVER, socket])
    try {
      await manager.until(/listening/)
      const module = join(import.meta.dirname, '../../../src/util/service-notify.ts')
      const script = `import { sendWithSystemdNotify as send } from '${module}'; await send(['READY=1'])`
      await run(process.execPath, ['--input-type=module', '-e', script], { env: { NOTIFY_SOCKET: socket } })
      expect(await manager.until(/^READY=1$/m)).not.toBeNull()
    } finally {
      await manager.stop()
      await rm(dir, { recursive: true, force: true })
    }
  })
})
