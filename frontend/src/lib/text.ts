import { type Key, type Tag, TEXTS } from "../texts.ts";
import { language, numbers } from "./language.ts";

type Values = Readonly<Record<string, string | number>>;

/** A catalogue of translated texts: by tag, then by key. */
type Catalogue = Partial<Record<string, Partial<Record<string, string>>>>;

let catalogue: Catalogue | undefined;

/** Texts for a tag: from `data-text-…` on the element, else from the page's catalogue, else English. */
export class Texts<T extends Tag> {
  readonly #tag: T;
  readonly #element: Element | undefined;

  constructor(tag: T, element?: Element) {
    this.#tag = tag;
    this.#element = element;
  }

  /** The text of a key, with `{name}` filled in. */
  get(key: Key<T>, values: Values = {}): string {
    const english: Partial<Record<string, string>> = TEXTS[this.#tag];
    const text =
      this.#element?.getAttribute(`data-text-${key}`) ?? pageCatalogue()[this.#tag]?.[key] ?? english[key] ?? key;
    return filled(text, values);
  }

  /** The text for a number, from `key-one` or `key-other`; `{n}` is the number as people write it. */
  count(key: string, n: number, values: Values = {}): string {
    const form = new Intl.PluralRules(language()).select(n) === "one" ? "one" : "other";
    const shown = numbers().format(n);
    return this.get(`${key}-${form}` as Key<T>, { ...values, n: shown });
  }
}

/** `text` with each `{name}` replaced by its value; names without a value stay. */
export function filled(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (Object.hasOwn(values, name) ? `${values[name]}` : whole));
}

function pageCatalogue(): Catalogue {
  if (catalogue === undefined) {
    const text = globalThis.document?.getElementById("island-texts")?.textContent;
    catalogue = text ? (JSON.parse(text) as Catalogue) : {};
  }
  return catalogue;
}
