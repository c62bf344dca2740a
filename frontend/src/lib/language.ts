/** The page's language, for words, numbers and times; the browser's where the page has none. */
export function language(): string | undefined {
  return globalThis.document?.documentElement.lang || undefined;
}
