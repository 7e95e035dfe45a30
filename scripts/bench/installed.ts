import { cp, mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../test/fixtures/child.ts'

const ROOT = join(import.meta.dirname, '../..')

/** What hosts run: JavaScript, as `scripts/install` puts it there. @returns the command `shoal` */
export async function installIn(dir: string): Promise<string> {
  await mkdir(dir)
  for (const name of ['bin', 'package.json']) await cp(join(ROOT, name), join(dir, name), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(dir, 'node_modules'))
  const build = ['--disable-warning=ExperimentalWarning', join(ROOT, 'scripts/build-package.ts'), join(dir, 'dist')]
  await run(process.execPath, build)
  return join(dir, 'bin/shoal')
}
