export function shortId(id: string): string
