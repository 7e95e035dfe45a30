/**
 * Makes JavaScript of the sources, which agents that are installed run: Node strips no types below node_modules, and an agent that strips none
 * takes 15 MiB less. `node scripts/build-package.ts DIR` puts it there. Without DIR it is run by `npm pack` and `npm publish`, and also names the
 * versions that were tested. Needs nothing but Node.
 */
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join, resolve } from 'node:path'

const root = join(import.meta.dirname, '..')
const source = join(root, 'src')
const [dir] = process.argv.slice(2)
const target = dir === undefined ? join(root, 'dist') : resolve(dir)

/** `from './x.ts'`, `import './x.ts'`, `import('./x.ts')`. */
const IMPORT = /((?:\bfrom|\bimport)\s*\(?\s*')(\.[^']*)\.ts'/g

function javaScript(path: string): string {
  return stripTypeScriptTypes(readFileSync(join(source, path), 'utf8')).replace(
    IMPORT,
    (_, before: string, name: string) => {
      const imported = join(source, dirname(path), `${name}.ts`)
      if (!existsSync(imported)) throw new Error(`${path} imports ${name}.ts, which is not there`)
      return `${before}${name}.js'`
    },
  )
}

if (dir === undefined) rmSync(target, { recursive: true, force: true })
for (const path of globSync('**/*.*', { cwd: source, exclude: ['**/*.md', '**/*.d.ts'] })) {
  const output = join(target, path)
  mkdirSync(dirname(output), { recursive: true })
  if (path.endsWith('.ts')) writeFileSync(output.replace(/\.ts$/, '.js'), javaScript(path))
  else copyFileSync(join(source, path), output)
}
if (dir === undefined) copyFileSync(join(root, 'package-lock.json'), join(root, 'npm-shrinkwrap.json'))
