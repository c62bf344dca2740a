import { type Mistake, NotJson, readJson, type Token } from "./json.ts";
import { bytesOf, wordsIn } from "./template.ts";

const MAX_TEMPLATE_BYTES = 1024 * 1024;

/** What keeps a text from being a template: what, where, and the text found there. */
export interface Problem {
  readonly what: Mistake | "empty" | "not-object" | "too-large";
  readonly start: number;
  readonly end: number;
  readonly found: string;
}

/** A text as a template: its tokens, or the first problem. */
export type Checked = { readonly tokens: readonly Token[] } | { readonly problem: Problem };

/** Reads a template as the server will. */
export function check(source: string): Checked {
  if (source.trim() === "") {
    return { problem: { what: "empty", start: 0, end: source.length, found: "" } };
  }
  let tokens: Token[];
  try {
    tokens = readJson(source);
  } catch (error) {
    if (error instanceof NotJson) {
      return { problem: { what: error.mistake, start: error.start, end: error.end, found: error.found } };
    }
    throw error;
  }
  const [first] = tokens;
  if (first?.text !== "{") {
    return {
      problem: { what: "not-object", start: first?.start ?? 0, end: first?.end ?? 0, found: first?.text ?? "" },
    };
  }
  if (bytesOf(tokens.map((token) => token.text).join("")) > MAX_TEMPLATE_BYTES) {
    return { problem: { what: "too-large", start: 0, end: 0, found: "" } };
  }
  return { tokens };
}

/** Every `#word` in a template that names none of the variables: its name, and where it stands in the source. */
export function unknownWords(
  source: string,
  tokens: readonly Token[],
  known: ReadonlySet<string>,
): { name: string; start: number; end: number }[] {
  return tokens
    .filter((token) => token.kind === "string" || token.kind === "key")
    .flatMap((token) =>
      wordsIn(source.slice(token.start, token.end)).map(({ name, at }) => ({
        name,
        start: token.start + at,
        end: token.start + at + 1 + name.length,
      })),
    )
    .filter(({ name }) => !known.has(name));
}
