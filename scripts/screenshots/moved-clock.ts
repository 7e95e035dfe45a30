/** The clock of this process, behind the real one by a time that can be changed. Must be imported before what keeps `Date.now`. */
const realNow = Date.now
let behindMs = 0

Date.now = () => realNow() - behindMs

export function setBehind(ms: number): void {
  behindMs = ms
}
