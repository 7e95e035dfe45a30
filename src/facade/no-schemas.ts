import type { FastifyServerOptions } from 'fastify'

function none(): never {
  throw new Error('no route of ours has a schema')
}

/** For fastify: without them it loads its compilers of schemas, 1 to 2 MiB of memory. */
export const NO_SCHEMAS: NonNullable<FastifyServerOptions['schemaController']> = {
  compilersFactory: { buildValidator: none, buildSerializer: none },
}
