/**
 * A strict reader of JSON (RFC 8259) that keeps what `JSON.parse` loses: where things stand, the order of members,
 * members that occur twice, and the digits of numbers. It accepts what the server accepts.
 */

export type Kind = "punctuation" | "key" | "string" | "number" | "word";

/** A token: its compact JSON text as the server writes it, and where it stands in the source. */
export interface Token {
  readonly kind: Kind;
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

export type Mistake =
  | "unexpected"
  | "ends-early"
  | "unclosed-string"
  | "bad-escape"
  | "control-character"
  | "trailing-comma"
  | "bad-number"
  | "large-number"
  | "twice"
  | "too-deep";

/** Why a text is not JSON, and where. */
export class NotJson extends Error {
  readonly mistake: Mistake;
  readonly start: number;
  readonly end: number;
  readonly found: string;

  constructor(mistake: Mistake, start: number, end: number, found: string) {
    super(mistake);
    this.mistake = mistake;
    this.start = start;
    this.end = end;
    this.found = found;
  }
}

/** How deep a template may nest: as the server has it. */
export const MAX_DEPTH = 100;

const MAX_DIGITS = 4300;
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
const NUMBER_LIKE = /[-+.0-9A-Za-z]+/y;
const STRING = /"(?:[^"\\\n]|\\.)*"/y;
const WORD = /[A-Za-z_]+/y;
const ESCAPE = /\\(?!["\\/bfnrt]|u[0-9A-Fa-f]{4})(?:u[0-9A-Fa-f]{0,3}|.)?/;
const ESCAPED_PAIR = /\\["\\/]/g;

/**
 * The tokens of a JSON text.
 *
 * @throws NotJson for the first mistake.
 */
export function readJson(source: string): Token[] {
  const reader = new Reader(source);
  reader.value(1);
  reader.end();
  return reader.tokens;
}

class Reader {
  readonly tokens: Token[] = [];
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  value(depth: number): void {
    if (depth > MAX_DEPTH) {
      throw this.#mistake("too-deep", this.#at, this.#at + 1);
    }
    const next = this.#peek();
    if (next === "{") {
      this.#object(depth);
    } else if (next === "[") {
      this.#array(depth);
    } else if (next === '"') {
      this.#string("string");
    } else if (/[-0-9]/.test(next)) {
      this.#number();
    } else {
      this.#word();
    }
  }

  end(): void {
    if (this.#peek() !== "") {
      throw this.#unexpected();
    }
  }

  #object(depth: number): void {
    this.#punctuation("{");
    const names = new Set<string>();
    while (this.#peek() !== "}") {
      if (this.#peek() !== '"') {
        throw this.#unexpected();
      }
      const key = this.#string("key");
      if (names.has(key.text)) {
        throw this.#mistake("twice", key.start, key.end);
      }
      names.add(key.text);
      this.#punctuation(":");
      this.value(depth + 1);
      if (!this.#comma("}")) {
        break;
      }
    }
    this.#punctuation("}");
  }

  #array(depth: number): void {
    this.#punctuation("[");
    while (this.#peek() !== "]") {
      this.value(depth + 1);
      if (!this.#comma("]")) {
        break;
      }
    }
    this.#punctuation("]");
  }

  /** Whether a comma follows; it must not be the last thing before the closing bracket. */
  #comma(closing: string): boolean {
    if (this.#peek() !== ",") {
      return false;
    }
    const comma = this.#at;
    this.#punctuation(",");
    if (this.#peek() === closing) {
      throw this.#mistake("trailing-comma", comma, comma + 1);
    }
    return true;
  }

  #punctuation(wanted: string): void {
    if (this.#peek() !== wanted) {
      throw this.#unexpected();
    }
    this.#add("punctuation", wanted, this.#at + 1);
  }

  #string(kind: "key" | "string"): Token {
    const start = this.#at;
    const raw = this.#match(STRING);
    if (raw === undefined) {
      const line = this.#source.indexOf("\n", start);
      throw this.#mistake("unclosed-string", start, line === -1 ? this.#source.length : line);
    }
    const control = [...raw].findIndex((character) => character < " ");
    if (control !== -1) {
      const at = start + [...raw].slice(0, control).join("").length;
      throw this.#mistake("control-character", at, at + 1);
    }
    // Pairs first: the second half of an escaped backslash begins no escape.
    const bad = ESCAPE.exec(raw.replace(ESCAPED_PAIR, "  "));
    if (bad !== null) {
      throw this.#mistake("bad-escape", start + bad.index, start + bad.index + bad[0].length);
    }
    return this.#add(kind, JSON.stringify(JSON.parse(raw)), start + raw.length);
  }

  #number(): void {
    const start = this.#at;
    const raw = this.#match(NUMBER);
    const all = this.#match(NUMBER_LIKE) ?? "";
    if (raw === undefined || raw.length < all.length) {
      throw this.#mistake("bad-number", start, start + Math.max(all.length, 1));
    }
    const text = numberText(raw);
    if (text === undefined) {
      throw this.#mistake("large-number", start, start + raw.length);
    }
    this.#add("number", text, start + raw.length);
  }

  #word(): void {
    const word = this.#match(WORD);
    if (word !== "true" && word !== "false" && word !== "null") {
      throw this.#unexpected();
    }
    this.#add("word", word, this.#at + word.length);
  }

  #peek(): string {
    SPACE.lastIndex = this.#at;
    this.#at += SPACE.exec(this.#source)?.[0].length ?? 0;
    return this.#source.charAt(this.#at);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#source)?.[0];
  }

  #add(kind: Kind, text: string, end: number): Token {
    const token = { kind, text, start: this.#at, end };
    this.tokens.push(token);
    this.#at = end;
    return token;
  }

  #unexpected(): NotJson {
    if (this.#peek() === "") {
      const end = this.#source.trimEnd().length;
      return this.#mistake("ends-early", Math.max(0, end - 1), end);
    }
    const found = this.#match(WORD) ?? String.fromCodePoint(this.#source.codePointAt(this.#at) ?? 0);
    return this.#mistake("unexpected", this.#at, this.#at + found.length);
  }

  #mistake(mistake: Mistake, start: number, end: number): NotJson {
    return new NotJson(mistake, start, end, this.#source.slice(start, Math.min(end, start + 60)));
  }
}

/** A number as the server writes it (Python's spelling), or nothing where it is too large to be kept. */
function numberText(raw: string): string | undefined {
  if (/^-?[0-9]+$/.test(raw)) {
    return raw.length > MAX_DIGITS ? undefined : raw === "-0" ? "0" : raw;
  }
  const value = Number(raw);
  if (!Number.isFinite(value)) {
    return undefined;
  }
  const [mantissa = "0", power = "0"] = Math.abs(value).toExponential().split("e");
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const exponent = Number(power);
  const digits = mantissa.replace(".", "");
  if (exponent < -4 || exponent >= 16) {
    const shown = `${Math.abs(exponent)}`.padStart(2, "0");
    return `${sign}${mantissa}e${exponent < 0 ? "-" : "+"}${shown}`;
  }
  if (exponent < 0) {
    return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  }
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${whole}.${digits.slice(exponent + 1) || "0"}`;
}
