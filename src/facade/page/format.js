const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** Three significant figures. @param {number} count @returns {string} */
export function bytes(count) {
  let value = count
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${value.toFixed(digits)} ${UNITS[unit]}`
}

/** Its two largest units. @param {number} milliseconds @returns {string} */
export function duration(milliseconds) {
  const seconds = Math.max(0, milliseconds) / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  const [days, hours, minutes] = [86_400, 3_600, 60].map((unit) => Math.floor(seconds / unit))
  if (days) return `${days} d ${(hours ?? 0) % 24} h`
  if (hours) return `${hours} h ${(minutes ?? 0) % 60} min`
  if (minutes) return `${minutes} min`
  return `${Math.floor(seconds)} s`
}

/** Coarse, so that it rarely changes. @param {number} milliseconds @returns {string} */
export function ago(milliseconds) {
  return milliseconds < 10_000 ? 'just now' : milliseconds < 60_000 ? 'a moment ago' : `${duration(milliseconds)} ago`
}

/** @param {number} part @param {number} whole @returns {string} */
export function percent(part, whole) {
  if (whole <= 0) return '–'
  const share = (part / whole) * 100
  // neither nothing nor everything where it is not quite so
  const shown = share > 99.5 && share < 100 ? 99.9 : share > 0 && share < 0.5 ? 0.1 : Math.round(share)
  return `${shown} %`
}

/** @param {number} count @param {string} one @param {string} [many] @returns {string} */
export function counted(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`
}

/** @param {string} digest @returns {string} */
export function shortDigest(digest) {
  return digest.replace(/^(sha\d+:.{12}).*$/, '$1')
}
