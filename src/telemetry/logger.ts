import { type DestinationStream, destination, type Logger as PinoLogger, pino } from 'pino'
import type { Logger } from '../util/logger.ts'
import { errorFields } from './error-fields.ts'
import { textLine } from './text-log.ts'

const SECRETS = ['authorization', 'proxy-authorization', 'password', 'token', 'cookie']

export interface LoggerInit {
  readonly level: 'error' | 'warn' | 'info' | 'debug'
  /** `json`: one object per line; `text`: for people. */
  readonly format: 'json' | 'text'
}

/**
 * The root of all loggers. Fields that could hold a secret are blanked out, at the top level and one below it.
 * @param sink where lines go: standard output unless a test wants them
 */
export function createLogger(init: LoggerInit, sink: DestinationStream = destination({ fd: 1, sync: true })): Logger {
  const logger: PinoLogger = pino(
    {
      level: init.level,
      base: null,
      serializers: { err: (error: unknown) => errorFields(error), error: (error: unknown) => errorFields(error) },
      redact: {
        paths: SECRETS.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.headers["${name}"]`]),
        censor: '[redacted]',
      },
    },
    init.format === 'json' ? sink : { write: (line: string) => sink.write(textLine(line)) },
  )
  return logger
}
