/**
 * Rendering a payload template as the server does (CONTRACT "Templates"): in every string, keys included, `#word` gives
 * way to the value of the variable of that name, once; any other `#word` stays.
 */
import { readJson, type Token } from "./json.ts";

/** The largest template and the largest message, in bytes of compact JSON. */
export const MAX_BYTES = 256 * 1024;

/** A part of a string as it stands in JSON text, without quotes: literal, or the value of a variable. */
export interface Part {
  readonly text: string;
  readonly variable?: string;
}

/** A piece of a message laid out for reading. */
export interface Piece extends Part {
  readonly kind: "space" | Token["kind"];
}

const WORD = /#([A-Za-z0-9_]+)/g;

/** Every `#word` in a text: its name, and where its `#` stands. */
export function wordsIn(text: string): { name: string; at: number }[] {
  return [...text.matchAll(WORD)].map((match) => ({ name: match[1] ?? "", at: match.index }));
}

/**
 * The values in a JSON object as the texts that take variables' places: strings as they are, nothing for null, and the
 * compact JSON text of all else.
 */
export function textsOfValues(json: string): Map<string, string> {
  const texts = new Map<string, string>();
  const tokens = readJson(json);
  let depth = 0;
  let name: string | undefined;
  let value: Token[] = [];
  for (const token of tokens) {
    if (token.text === "}" || token.text === "]") {
      depth -= 1;
    }
    const ends = depth === (token.text === "}" ? 0 : 1) && token.kind === "punctuation" && ",}".includes(token.text);
    if (depth === 1 && token.kind === "key") {
      name = token.text;
      value = [];
    } else if (ends && name !== undefined) {
      texts.set(JSON.parse(name), textOf(value));
      name = undefined;
    } else if (name !== undefined && !(value.length === 0 && token.text === ":")) {
      value.push(token);
    }
    if (token.text === "{" || token.text === "[") {
      depth += 1;
    }
  }
  return texts;
}

function textOf(value: readonly Token[]): string {
  const [first] = value;
  if (value.length === 1 && first?.kind === "string") {
    return JSON.parse(first.text);
  }
  const text = value.map((token) => token.text).join("");
  return text === "null" ? "" : text;
}

/** A JSON string's text, quotes included, cut at the variables in it. */
export function parts(text: string, variables: ReadonlySet<string>, values: ReadonlyMap<string, string>): Part[] {
  const found: Part[] = [];
  let start = 0;
  for (const { name, at } of wordsIn(text)) {
    if (variables.has(name)) {
      // Escaped apart from the text around it: halves of surrogate pairs must not come together.
      const value = JSON.stringify(values.get(name) ?? "").slice(1, -1);
      found.push({ text: text.slice(start, at) }, { text: value, variable: name });
      start = at + 1 + name.length;
    }
  }
  found.push({ text: text.slice(start) });
  return found.filter((part) => part.text !== "" || part.variable !== undefined);
}

/** The message: compact JSON. */
export function render(
  template: readonly Token[],
  variables: ReadonlySet<string>,
  values: ReadonlyMap<string, string>,
): string {
  return template
    .flatMap((token) => (isText(token) ? parts(token.text, variables, values) : [token]))
    .map((part) => part.text)
    .join("");
}

/** The message laid out over lines, each value of a variable a piece of its own. */
export function layout(
  template: readonly Token[],
  variables: ReadonlySet<string>,
  values: ReadonlyMap<string, string>,
  indent = "  ",
): Piece[] {
  const pieces: Piece[] = [];
  let depth = 0;
  const line = () => pieces.push({ kind: "space", text: `\n${indent.repeat(depth)}` });
  template.forEach((token, index) => {
    const before = template[index - 1]?.text ?? "";
    const opened = template[index - 1]?.kind === "punctuation" && "{[".includes(before);
    if (isText(token)) {
      if (opened) {
        line();
      }
      pieces.push(...parts(token.text, variables, values).map((part) => ({ ...part, kind: token.kind })));
      return;
    }
    const closes = token.kind === "punctuation" && "}]".includes(token.text);
    if (closes) {
      depth -= 1;
    }
    if (opened !== closes && index > 0 && (opened || closes)) {
      line();
    }
    pieces.push({ kind: token.kind, text: token.text });
    if (token.kind === "punctuation") {
      if ("{[".includes(token.text)) {
        depth += 1;
      } else if (token.text === ",") {
        line();
      } else if (token.text === ":") {
        pieces.push({ kind: "space", text: " " });
      }
    }
  });
  return pieces;
}

/** The pieces of the first so many characters, the last one cut, and whether there are more. */
export function beginning(pieces: readonly Piece[], limit: number): { pieces: Piece[]; more: boolean } {
  let left = limit;
  const found: Piece[] = [];
  for (const piece of pieces) {
    if (piece.text.length > left) {
      // No half of a surrogate pair stays.
      found.push({ ...piece, text: piece.text.slice(0, left).replace(/[\ud800-\udbff]$/, "") });
      return { pieces: found, more: true };
    }
    found.push(piece);
    left -= piece.text.length;
  }
  return { pieces: found, more: false };
}

/** A JSON text laid out over lines, nothing replaced. */
export function formatted(source: string): string {
  return layout(readJson(source), new Set(), new Map())
    .map((piece) => piece.text)
    .join("");
}

/** How many bytes a text has in UTF-8. */
export function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

function isText(token: Token): boolean {
  return token.kind === "string" || token.kind === "key";
}
