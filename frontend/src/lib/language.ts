/** The page's language, for words, numbers and times; the browser's where the page has none. */
export function language(): string | undefined {
  return globalThis.document?.documentElement.lang || undefined;
}

/** Numbers as people write them, in groups also where there are four digits in Spanish: as the pages have them. */
export function numbers(
  options: Intl.NumberFormatOptions = {},
  of: string | undefined = language(),
): Intl.NumberFormat {
  return new Intl.NumberFormat(of, { useGrouping: "always", ...options });
}
