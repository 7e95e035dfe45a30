import { LRUCache } from 'lru-cache'

/**
 * Keeps the `max` entries that were used last, each for at most `ttl` milliseconds. Grows as it is filled: bounded by a number of entries, the
 * library would take room for all of them at once, some 40 bytes each.
 */
export function lru<K extends string, V extends string | number | boolean | object>(
  max: number,
  { ttl }: { readonly ttl?: number } = {},
): LRUCache<K, V> {
  const bounds = { maxSize: max, sizeCalculation: () => 1 }
  return new LRUCache<K, V>(ttl === undefined ? bounds : { ...bounds, ttl })
}
