/** What the parts of the set-up hand each other. Paths are as the client sees them: without the prefix of `--root`. */

export const CLIENT_NAMES = ['docker', 'containerd', 'podman', 'crio'] as const
export type ClientName = (typeof CLIENT_NAMES)[number]

/** The client's files as they were before the set-up: what it added is not seen. */
export interface SetupFiles {
  /** Undefined when there is no such file. @throws ShoalError SETUP_REFUSED */
  read(path: string): string | undefined
  /** Whether the set-up has written the file, and it has not been undone. */
  isSetUp(path: string): boolean
  /** As it is now, with what the set-up added. */
  readNow(path: string): string | undefined
  /** Names in a folder, sorted by their bytes; none when there is no such folder. */
  names(dir: string): readonly string[]
}

export interface PlannedFile {
  readonly path: string
  /** Undefined: there is no such file. */
  readonly before: string | undefined
  readonly after: string
}

export interface Plan {
  readonly files: readonly PlannedFile[]
  /** What the user has to know or to do by hand. */
  readonly notes: readonly string[]
}

export interface PlanInit {
  readonly mirror: Mirror
  /** Registries that were named, in the form of `parseRegistry`; undefined: those that the client should have. */
  readonly registries: readonly string[] | undefined
  /** Those of the agent's configuration. */
  readonly knownRegistries: readonly string[]
  /** What the agent takes a request for that names no registry. */
  readonly defaultRegistry: string
  /** The client's file where it is not in its usual place. */
  readonly file: string | undefined
}

export interface Mirror {
  /** `http://127.0.0.1:5050` */
  readonly url: string
  /** `127.0.0.1:5050` */
  readonly address: string
  readonly plainHttp: boolean
}

export type Planner = (files: SetupFiles, init: PlanInit) => Plan
