const TOKEN68_OR_PARAMS = /^Bearer +[^\s]/i
// one challenge after another in the same header: a comma, a scheme, a space, and no `=` in between
const NEXT_CHALLENGE = /,\s*[!#$%&'*+.^_`|~A-Za-z0-9-]+ +(?=[^\s=])/g

/**
 * The Bearer challenge of a `WWW-Authenticate`, if there is one. A Basic challenge is never handed on: it makes
 * clients send the user's password in the clear.
 * Grammar: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
 */
export function bearerChallenge(header: string | undefined): string | undefined {
  // a control character must not reach a header
  if (header === undefined || /[^\t\x20-\x7e]/.test(header)) return undefined
  return splitChallenges(header).find((challenge) => TOKEN68_OR_PARAMS.test(challenge))
}

function splitChallenges(header: string): string[] {
  // quoted strings are blanked out, at the same length, so that a comma in a scope does not split
  const outline = header.replace(/"(?:[^"\\]|\\.)*"/g, (quoted) => '"'.repeat(quoted.length))
  const challenges: string[] = []
  let start = 0
  for (const match of outline.matchAll(NEXT_CHALLENGE)) {
    challenges.push(header.slice(start, match.index).trim())
    start = match.index + 1
  }
  challenges.push(header.slice(start).trim())
  return challenges
}
