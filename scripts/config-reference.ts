/** Writes docs/configuration.md from the schema. */
import { writeFileSync } from 'node:fs'
import { configDocument } from './config/config-document.ts'

writeFileSync(new URL('../docs/configuration.md', import.meta.url), configDocument())
