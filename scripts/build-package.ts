/**
 * Makes what the npm package holds: JavaScript in `dist`, since Node strips no types below node_modules, and the versions that
 * were tested. Run by `npm pack` and `npm publish`.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, statSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const source = join(root, 'src')

execFileSync('tsc', ['-p', join(root, 'config/tsconfig.package.json')], { stdio: 'inherit' })
// the page and whatever else is no source
cpSync(source, join(root, 'dist'), {
  recursive: true,
  filter: (path) => statSync(path).isDirectory() || !/\.(?:ts|md)$/.test(path),
})
copyFileSync(join(root, 'package-lock.json'), join(root, 'npm-shrinkwrap.json'))
