/** What the demo prints, and what was not as it should be. */
export class DemoReport {
  readonly #wrong: string[] = []
  #isSilent = false

  get wrong(): readonly string[] {
    return this.#wrong
  }

  say(line: string): void {
    if (!this.#isSilent) console.log(line)
  }

  title(text: string): void {
    this.say(`\n${text}\n${'='.repeat(text.length)}\n`)
  }

  /** Something else than the demo set out to show has happened. */
  fail(what: string): void {
    this.#wrong.push(what)
    this.say(`WRONG: ${what}`)
  }

  /** Interrupted: whatever fails from now on is of no interest. */
  silence(): void {
    this.#isSilent = true
  }
}
