import { expect, it } from 'vitest'
import { isNotModified, rangeCounts } from '../../../src/facade/conditional.ts'
import { parseDigest } from '../../../src/oci/digest.ts'

const DIGEST = parseDigest(`sha256:${'b'.repeat(64)}`)

it.each([`"${DIGEST}"`, `W/"${DIGEST}"`, `"x", "${DIGEST}"`, `"x",W/"${DIGEST}"`, '*', ' * '])(
  'takes If-None-Match %s for a match',
  (header) => expect(isNotModified(header, DIGEST)).toBe(true),
)

it.each([undefined, '', '"x"', DIGEST, `"${DIGEST}x"`, '"*"'])('takes If-None-Match %s for none', (header) =>
  expect(isNotModified(header, DIGEST)).toBe(false),
)

it.each([
  [undefined, true],
  [`"${DIGEST}"`, true],
  [`W/"${DIGEST}"`, false],
  ['"x"', false],
  ['Sat, 21 Nov 2026 13:39:20 GMT', false],
])('lets a range count with If-Range %s: %s', (header, counts) => expect(rangeCounts(header, DIGEST)).toBe(counts))
