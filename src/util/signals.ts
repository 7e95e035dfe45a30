/**
 * A signal that aborts when any of `signals` does or `timeoutMs` has passed, and that lets go of all of them when it is
 * disposed. `AbortSignal.any` with a long-lived signal keeps its memory until that signal dies.
 *
 *     using linked = linkSignals([request, agent], 5_000)
 *     await work({ signal: linked.signal })
 */
export function linkSignals(signals: readonly AbortSignal[], timeoutMs?: number): LinkedSignal {
  const controller = new AbortController()
  const detach: (() => void)[] = []
  for (const signal of signals) {
    if (signal.aborted) {
      controller.abort(signal.reason)
      break
    }
    const onAbort = (): void => controller.abort(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    detach.push(() => signal.removeEventListener('abort', onAbort))
  }
  if (timeoutMs !== undefined) {
    const timer = setTimeout(() => controller.abort(new DOMException('deadline passed', 'TimeoutError')), timeoutMs)
    timer.unref()
    detach.push(() => clearTimeout(timer))
  }
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    [Symbol.dispose]: () => {
      for (const undo of detach) undo()
    },
  }
}

export interface LinkedSignal extends Disposable {
  readonly signal: AbortSignal
  abort(reason?: unknown): void
}
