/** Media types of manifests: https://github.com/opencontainers/image-spec/blob/main/media-types.md and Docker's v2.2. */

export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
export const DOCKER_MANIFEST_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'

/**
 * What the origin is asked to accept, for tags above all. Never a wildcard: distribution then converts a manifest list
 * to the obsolete schema 1, or answers 404 for OCI content.
 */
export const MANIFEST_ACCEPT = [OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST].join(', ')
