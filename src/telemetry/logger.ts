/**
 * The root of all loggers, on pino. Owns what is the same for all of them and may change while they are in use: the level, the
 * sampling, and the last lines. Children share it; created, told of a new configuration and disposed by `agent.ts`.
 */
import { type DestinationStream, destination, type Logger as PinoLogger, pino } from 'pino'
import { type Clock, steadyClock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { errorFields } from './error-fields.ts'
import { LogSampler } from './log-sampler.ts'
import { RecentLines } from './recent-lines.ts'
import { textLine } from './text-log.ts'

const SECRETS = ['authorization', 'proxy-authorization', 'password', 'token', 'cookie']
const KEPT_LINES = 1_000
const LEVELS = { debug: 20, info: 30, warn: 40, error: 50 } as const

type Level = keyof typeof LEVELS

export interface LoggerInit {
  readonly level: Level
  /** `json`: one object per line; `text`: for people. */
  readonly format: 'json' | 'text'
  /** So many warnings or errors that say the same are written each minute, the rest is counted; 0: all. */
  readonly sample: number
}

export interface LoggerComponents {
  /** Where lines go; standard output unless a test wants them. */
  readonly sink?: DestinationStream
  /** Told of every warning and error, also of those that are left out. */
  readonly logged?: (level: 'warn' | 'error') => void
  readonly clock?: Clock
}

export interface RootLogger extends Logger, Disposable {
  configure(init: Pick<LoggerInit, 'level' | 'sample'>): void
  /** The last lines from info on as JSON, oldest first. */
  recent(): string[]
}

interface Repeated {
  readonly log: PinoLogger
  readonly level: 'warn' | 'error'
  readonly message: string
}

/** Fields that could hold a secret are blanked out, at the top level and one below it. */
export function createLogger(init: LoggerInit, components: LoggerComponents = {}): RootLogger {
  const { sink = destination({ fd: 1, sync: true }), logged, clock = steadyClock } = components
  const recent = new RecentLines({ most: KEPT_LINES })
  const write = (line: string): void => {
    if (!line.startsWith('{"level":20')) recent.add(line)
    sink.write(init.format === 'json' ? line : textLine(line))
  }
  const root: PinoLogger = pino(
    {
      level: 'debug',
      base: null,
      serializers: { err: (error: unknown) => errorFields(error), error: (error: unknown) => errorFields(error) },
      redact: {
        paths: SECRETS.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.headers["${name}"]`]),
        censor: '[redacted]',
      },
    },
    { write },
  )
  const sampler = new LogSampler<Repeated>({ clock }, { perMinute: init.sample })
  let least: number = LEVELS[init.level]
  let timer: NodeJS.Timeout | undefined

  const tellLeftOut = (all: boolean): void => {
    clearTimeout(timer)
    timer = undefined
    for (const { what, count } of sampler.takeDue({ all }))
      what.log[what.level]({ count, repeated: what.message }, 'the same again, left out of the log')
    watch()
  }
  const watch = (): void => {
    const ms = sampler.dueInMs
    if (ms !== undefined) timer ??= setTimeout(() => tellLeftOut(false), ms).unref()
  }
  const loggerOf = (log: PinoLogger, name: string): Logger => {
    const problem = (level: 'warn' | 'error', fields: object, message: string): void => {
      logged?.(level)
      if (LEVELS[level] < least) return
      const { err } = fields as { err?: { code?: string } }
      const key = `${level} ${name} ${err?.code ?? ''} ${message}`
      if (sampler.admit(key, { log, level, message })) log[level](fields, message)
      else watch()
    }
    return {
      debug: (fields, message) => {
        if (LEVELS.debug >= least) log.debug(fields, message)
      },
      info: (fields, message) => {
        if (LEVELS.info >= least) log.info(fields, message)
      },
      warn: (fields, message) => problem('warn', fields, message),
      error: (fields, message) => problem('error', fields, message),
      child: (bindings) => {
        const { component } = bindings as { component?: string }
        return loggerOf(log.child(bindings), `${name} ${component ?? ''}`)
      },
    }
  }
  return {
    ...loggerOf(root, ''),
    configure: ({ level, sample }) => {
      tellLeftOut(true)
      least = LEVELS[level]
      sampler.perMinute = sample
    },
    recent: () => recent.list(),
    [Symbol.dispose]: () => tellLeftOut(true),
  }
}
