import { createHash, generateKeyPairSync, randomBytes, sign, type X509Certificate } from 'node:crypto'

/**
 * What an agent shows at the lane. Nobody vouches for it but the connection over which its fingerprint was told, so it
 * has the one shape that TLS 1.3 needs: X.509 version 1, ECDSA on P-256, no end of life.
 */
export interface LaneCertificate {
  /** PEM. */
  readonly certificate: string
  /** PEM, PKCS #8. */
  readonly key: string
  /** SHA-256 of the certificate's DER in lower-case hex. */
  readonly fingerprint: string
}

const SERIAL_BYTES = 16

// https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5: a certificate without an end
const NOT_BEFORE = '700101000000Z'
const NOT_AFTER = '99991231235959Z'

// Tags of DER: https://www.itu.int/rec/T-REC-X.690
const INTEGER = 0x02
const BIT_STRING = 0x03
const OBJECT_ID = 0x06
const UTF8_STRING = 0x0c
const UTC_TIME = 0x17
const GENERALIZED_TIME = 0x18
const SEQUENCE = 0x30
const SET = 0x31

// 1.2.840.10045.4.3.2, ecdsa-with-SHA256: https://www.rfc-editor.org/rfc/rfc5758#section-3.2
const ECDSA_WITH_SHA256 = Buffer.from('2a8648ce3d040302', 'hex')
// 2.5.4.3, commonName
const COMMON_NAME = Buffer.from('550403', 'hex')

/**
 * Makes a new key and a certificate for it; takes about a millisecond.
 * @param id of the agent: what others tell of this certificate as theirs is seen to be false
 */
export function createLaneCertificate(id = 'shoal'): LaneCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = der(SEQUENCE, der(OBJECT_ID, ECDSA_WITH_SHA256))
  const name = der(SEQUENCE, der(SET, der(SEQUENCE, der(OBJECT_ID, COMMON_NAME), der(UTF8_STRING, id))))
  const validity = der(SEQUENCE, der(UTC_TIME, NOT_BEFORE), der(GENERALIZED_TIME, NOT_AFTER))
  const publicKeyInfo = publicKey.export({ type: 'spki', format: 'der' })
  // TBSCertificate: https://www.rfc-editor.org/rfc/rfc5280#section-4.1
  const content = der(SEQUENCE, der(INTEGER, serial()), algorithm, name, validity, name, publicKeyInfo)
  const signature = sign('sha256', content, privateKey)
  const raw = der(SEQUENCE, content, algorithm, der(BIT_STRING, Buffer.concat([Buffer.of(0), signature])))
  return {
    certificate: pem('CERTIFICATE', raw),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    fingerprint: fingerprintOf(raw),
  }
}

/** The id that the certificate names, which its own key has signed; undefined for none. */
export function idInside(certificate: X509Certificate): string | undefined {
  return /^CN=([A-Za-z0-9]{1,128})$/.exec(certificate.subject)?.[1]
}

/** @param raw DER of a certificate */
export function fingerprintOf(raw: Uint8Array): string {
  return createHash('sha256').update(raw).digest('hex')
}

/** Positive, and without a zero byte in front, as DER wants it. */
function serial(): Buffer {
  const bytes = randomBytes(SERIAL_BYTES)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes
}

function der(tag: number, ...content: (Uint8Array | string)[]): Buffer {
  const body = Buffer.concat(content.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)))
  return Buffer.concat([Buffer.of(tag), length(body.length), body])
}

function length(bytes: number): Buffer {
  if (bytes < 0x80) return Buffer.of(bytes)
  if (bytes < 0x100) return Buffer.of(0x81, bytes)
  return Buffer.of(0x82, bytes >> 8, bytes & 0xff)
}

function pem(label: string, raw: Buffer): string {
  const lines = raw.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
