import type { Logger } from '../../src/util/logger.ts'

/** Keeps what was logged. */
export class FakeLogger implements Logger {
  readonly lines: { level: string; fields: object; message: string }[] = []

  debug(fields: object, message: string): void {
    this.lines.push({ level: 'debug', fields, message })
  }

  info(fields: object, message: string): void {
    this.lines.push({ level: 'info', fields, message })
  }

  warn(fields: object, message: string): void {
    this.lines.push({ level: 'warn', fields, message })
  }

  error(fields: object, message: string): void {
    this.lines.push({ level: 'error', fields, message })
  }

  child(): Logger {
    return this
  }
}
