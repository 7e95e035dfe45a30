/**
 * The end of a peer's id: all ids of one kind of key begin alike. The commands and the page show this; what is no printable ASCII could
 * be obeyed by a terminal.
 * @param {string} id @returns {string}
 */
export function shortId(id) {
  return id.replace(/[^\x20-\x7e]/g, '?').slice(-8)
}
