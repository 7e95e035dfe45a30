import { expect, it } from 'vitest'
import { StatedSizes } from '../../../src/blob/stated-sizes.ts'
import { digestOf } from '../../../src/oci/digest.ts'

const LAYER = digestOf('sha256', 'a'.repeat(64))
const CONFIG = digestOf('sha256', 'b'.repeat(64))
const OTHER = digestOf('sha256', 'c'.repeat(64))

it('knows the sizes that a manifest states, and takes no nonsense for one', () => {
  const sizes = new StatedSizes()
  sizes.note(
    Buffer.from(
      JSON.stringify({
        config: { digest: CONFIG, size: 7 },
        layers: [
          { digest: LAYER, size: 1_000 },
          { digest: OTHER, size: -1 },
        ],
      }),
    ),
  )
  expect([LAYER, CONFIG, OTHER].map((digest) => sizes.of(digest))).toEqual([1_000, 7, undefined])
})

it('is silent about a manifest that is none', () => {
  const sizes = new StatedSizes()
  sizes.note(Buffer.from('not JSON'))
  expect(sizes.of(LAYER)).toBeUndefined()
})
