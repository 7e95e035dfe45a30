import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { expect, it } from 'vitest'
import { createLaneCertificate, fingerprintOf, idInside } from '../../../../src/swarm/lane/lane-certificate.ts'

it('makes a certificate that is signed by its own key', () => {
  const made = createLaneCertificate()
  const parsed = new X509Certificate(made.certificate)
  expect(parsed.verify(parsed.publicKey)).toBe(true)
  expect(parsed.subject).toBe('CN=shoal')
  expect(parsed.issuer).toBe(parsed.subject)
  expect(parsed.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' })
})

it.each(['12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X', 'shoal'])('names its agent %s', (id) => {
  expect(idInside(new X509Certificate(createLaneCertificate(id).certificate))).toBe(id)
})

it.each(['a/CN=b', 'a,b', 'a\nCN=b', ''])('names nobody by %j', (id) => {
  expect(idInside(new X509Certificate(createLaneCertificate(id).certificate))).toBeUndefined()
})

it('makes a certificate that TLS takes with its key', () => {
  const { certificate, key } = createLaneCertificate()
  expect(() => createSecureContext({ cert: certificate, key })).not.toThrow()
  expect(() => createSecureContext({ cert: certificate, key: createLaneCertificate().key })).toThrow('mismatch')
})

it('makes a certificate that holds whatever the clock says', () => {
  const parsed = new X509Certificate(createLaneCertificate().certificate)
  expect(parsed.validFromDate.getTime()).toBe(0)
  expect(parsed.validToDate.getTime()).toBe(Date.UTC(9999, 11, 31, 23, 59, 59))
})

it('names the SHA-256 of the certificate as its fingerprint', () => {
  const { certificate, fingerprint } = createLaneCertificate()
  const parsed = new X509Certificate(certificate)
  expect(fingerprintOf(parsed.raw)).toBe(fingerprint)
  expect(parsed.fingerprint256.replaceAll(':', '').toLowerCase()).toBe(fingerprint)
})

it('makes another one each time', () => {
  // serial numbers and signatures differ in length from one to the next
  const made = Array.from({ length: 50 }, () => createLaneCertificate())
  expect(new Set(made.map(({ fingerprint }) => fingerprint)).size).toBe(made.length)
  for (const { certificate } of made) expect(new X509Certificate(certificate).serialNumber).toHaveLength(32)
})
