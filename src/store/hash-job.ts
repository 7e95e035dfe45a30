/** What the threads of `hash-pool` are asked and answer. Ranges are [start, end) of the file behind `fd`. */

export type HashJob =
  | { readonly op: 'range'; readonly fd: number; readonly start: number; readonly end: number }
  | {
      readonly op: 'append'
      readonly stream: number
      /** Starts the stream anew; without it the stream must be there. */
      readonly fresh: boolean
      /** Whether to answer the range's own hash; else the answer is empty. */
      readonly own: boolean
      readonly fd: number
      readonly start: number
      readonly end: number
    }
  | { readonly op: 'finish'; readonly stream: number }

/** `drop` has no answer. */
export type HashRequest = (HashJob & { readonly id: number }) | { readonly op: 'drop'; readonly stream: number }

export type HashAnswer =
  | { readonly id: number; readonly hash: string }
  | { readonly id: number; readonly error: string; readonly errno: string | undefined }
