type Attributes = Readonly<Record<string, string | boolean | undefined>>;

/** An element with attributes and children. Text is only ever text: nothing is read as markup. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) {
      made.setAttribute(name, value === true ? "" : value);
    }
  }
  made.append(...children);
  return made;
}

let made = 0;

/** The element's id; it gets one when it has none. */
export function idOf(element: Element): string {
  if (element.id === "") {
    made += 1;
    element.id = `island-${made}`;
  }
  return element.id;
}

/** The JSON in an attribute, or `otherwise` where there is none or it cannot be read. */
export function jsonAttribute<T>(element: Element, name: string, otherwise: T): T {
  return jsonText(element.getAttribute(name), otherwise);
}

/** The JSON of a text, or `otherwise`. */
export function jsonText<T>(text: string | null | undefined, otherwise: T): T {
  try {
    return text ? (JSON.parse(text) as T) : otherwise;
  } catch {
    return otherwise;
  }
}

/** Focuses an element where it stands, also one that the Tab key does not reach. */
export function takeFocus(element: HTMLElement): void {
  if (element.tabIndex < 0) {
    element.tabIndex = -1;
  }
  element.focus({ preventScroll: true });
}

/** Calls `then` when the element is there with all that stands in it, also where the page is still being read. */
export function whenParsed(then: () => void): void {
  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", then, { once: true });
  } else {
    then();
  }
}
