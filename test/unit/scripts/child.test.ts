import { expect, it } from 'vitest'
import { Child, ProgramFailure, run } from '../../fixtures/child.ts'

it('says in words what a program did not say in time, or that it failed', async () => {
  const child = Child.start('sleep', ['60'])
  try {
    const late = child.until(/ready/, 50, 'that it is ready')
    await expect(late).rejects.toThrow(/^sleep did not say that it is ready within 0\.05 s:/)
    await expect(late).rejects.toBeInstanceOf(ProgramFailure)
  } finally {
    await child.stop()
  }
  await expect(run('false', [])).rejects.toBeInstanceOf(ProgramFailure)
})
