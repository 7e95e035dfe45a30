import type { Digest } from '../oci/digest.ts'

/** Unfinished blobs that nobody took up for so long go before anything that is complete. */
const STALE_MS = 7 * 24 * 60 * 60 * 1000

export interface Evictable {
  readonly kind: 'blob' | 'partial'
  readonly digest: Digest
  readonly size: number
  /** Milliseconds since the epoch. */
  readonly usedAt: number
  readonly isPinned: boolean
  /** Open by a reader or a transfer. */
  readonly isInUse: boolean
}

/** A partial blob that nobody took up for seven days. */
export function isStale(row: Evictable, now: number): boolean {
  return row.kind === 'partial' && now - row.usedAt >= STALE_MS
}

/**
 * What to evict so that at least `needBytes` come free: stale partial blobs first, then whatever was used least
 * recently. Nothing that is pinned or in use. May free less when there is no more.
 */
export function chooseVictims(rows: Iterable<Evictable>, needBytes: number, now: number): Evictable[] {
  const free = [...rows].filter((row) => !row.isPinned && !row.isInUse)
  free.sort((a, b) => Number(isStale(b, now)) - Number(isStale(a, now)) || a.usedAt - b.usedAt)
  const victims: Evictable[] = []
  let freed = 0
  for (const row of free) {
    if (freed >= needBytes) break
    victims.push(row)
    freed += row.size
  }
  return victims
}

export function sumBytes(rows: readonly Evictable[]): number {
  return rows.reduce((sum, row) => sum + row.size, 0)
}
