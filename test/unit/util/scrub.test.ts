import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mapTexts, withoutCredentials } from '../../../src/util/scrub.ts'

const PLANTED = 'pl4nted-S3cret'

describe('withoutCredentials', () => {
  it.each([
    `http://user:${PLANTED}@mirror.test/v2/`,
    `https://${PLANTED}@mirror.test`,
    `GET https://cdn.test/blob?X-Amz-Signature=${PLANTED}&x=1 failed`,
    `/v2/app/blobs/x?token=${PLANTED}`,
    `Authorization: Bearer ${PLANTED}`,
    `"authorization":"Basic ${PLANTED}="`,
    `bearer ${PLANTED}`,
    `password=${PLANTED}`,
    `{"identitytoken":"${PLANTED}"}`,
    JSON.stringify({ msg: `{"token":"${PLANTED}"}` }),
    `client_secret: ${PLANTED}`,
    `set-cookie: ${PLANTED}; path=/`,
    `api-key=${PLANTED}`,
    `-----BEGIN EC PRIVATE KEY-----\n${PLANTED.replace('-', '')}\n-----END EC PRIVATE KEY-----`,
  ])('takes it out of %j', (text) => {
    const clean = withoutCredentials(text)
    expect(clean).not.toContain(PLANTED)
    expect(clean).not.toContain(PLANTED.replace('-', ''))
    expect(clean).toContain('***')
  })

  it.each([
    'registry.example:5000: does not answer in full in time',
    'http://127.0.0.1:5053/api/status',
    'swarm.secretFile: /etc/shoal/secret',
    'the other side does not know the secret of this swarm',
    'shoal_origin_requests_total{asked="token",outcome="2xx"} 3',
    '{"version":"0.1.0","facade":["127.0.0.1:35159","[::1]:35159"],"msg":"ready"}',
  ])('leaves %j as it is', (text) => {
    expect(withoutCredentials(text)).toBe(text.replace('/etc/shoal/secret', '/etc/shoal/secret'))
  })

  it('has nothing to take out of what it gave, and takes no time for it', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('/', '?', '@', ':', 'token', '=', 'a', ' ', '"', 'Bearer '),
          maxLength: 200,
        }),
        (text) => {
          const once = withoutCredentials(text)
          expect(withoutCredentials(once)).toBe(once)
        },
      ),
    )
    const begun = performance.now()
    withoutCredentials(`http://${'a'.repeat(20_000)} ${'token'.repeat(4_000)} ${'/?'.repeat(10_000)}`)
    expect(performance.now() - begun).toBeLessThan(1_000)
  })
})

describe('mapTexts', () => {
  it('gives each text with its key, and leaves the rest alone', () => {
    const seen: string[] = []
    const mapped = mapTexts({ a: 'x', b: [1, 'y', { c: 'z', d: null }], e: true }, (text, key) => {
      seen.push(`${key}=${text}`)
      return text.toUpperCase()
    })
    expect(seen).toEqual(['a=x', 'b=y', 'c=z'])
    expect(mapped).toEqual({ a: 'X', b: [1, 'Y', { c: 'Z', d: null }], e: true })
  })
})
