/** `<template-preview>`: the message that a template in a textarea gives with sample values, as it is typed. */
import { check } from "../lib/check.ts";
import { element, jsonAttribute, whenParsed } from "../lib/dom.ts";
import { LONGEST_BLOCK, plainBlock } from "../lib/hostile.ts";
import { numbers } from "../lib/language.ts";
import { beginning, bytesOf, layout, MAX_BYTES, render, textsOfValues } from "../lib/template.ts";
import { Texts } from "../lib/text.ts";
import type { Variable } from "../lib/variables.ts";

class TemplatePreview extends HTMLElement {
  static readonly observedAttributes = ["data-values", "data-variables"];

  #code: HTMLElement | undefined;
  #note: HTMLElement | undefined;
  #waiting = 0;
  readonly #texts = new Texts("template-preview", this);
  readonly #soon = (event: Event) => {
    if (event.target === this.#area) {
      this.#later();
    }
  };

  connectedCallback(): void {
    document.addEventListener("input", this.#soon);
    whenParsed(() => this.#begin());
  }

  disconnectedCallback(): void {
    document.removeEventListener("input", this.#soon);
    cancelAnimationFrame(this.#waiting);
  }

  attributeChangedCallback(): void {
    this.#later();
  }

  get #area(): HTMLTextAreaElement | null {
    const found = document.getElementById(this.getAttribute("for") ?? "");
    return found instanceof HTMLTextAreaElement ? found : null;
  }

  #begin(): void {
    if (this.#code === undefined) {
      this.#code = element("code");
      this.#note = element("p", { class: "tp-note" });
      const shown = element(
        "pre",
        { class: "tp-message code-block wrap", tabindex: "0", role: "region", "aria-label": this.#texts.get("label") },
        this.#code,
      );
      this.replaceChildren(shown, this.#note);
    }
    this.#show();
  }

  #later(): void {
    cancelAnimationFrame(this.#waiting);
    this.#waiting = requestAnimationFrame(() => this.#show());
  }

  #show(): void {
    const [code, note, area] = [this.#code, this.#note, this.#area];
    if (code === undefined || note === undefined || area === null) {
      return;
    }
    const checked = check(area.value);
    this.toggleAttribute("data-stale", "problem" in checked);
    if ("problem" in checked) {
      note.textContent = this.#texts.get(code.hasChildNodes() ? "stale" : "waiting");
      return;
    }
    const variables = new Set(jsonAttribute<Variable[]>(this, "data-variables", []).map((one) => one.name));
    const values = textsOfValues(this.getAttribute("data-values") || "{}");
    const bytes = bytesOf(render(checked.tokens, variables, values));
    // A message of 256 KiB has more pieces than a browser lays out while somebody types.
    const { pieces, more } = beginning(layout(checked.tokens, variables, values), LONGEST_BLOCK);
    note.textContent = [
      bytes > MAX_BYTES ? this.#texts.get("too-large") : this.#texts.get("size", { size: numbers().format(bytes) }),
      more ? this.#texts.get("beginning", { shown: numbers().format(LONGEST_BLOCK) }) : "",
    ]
      .join(" ")
      .trimEnd();
    note.classList.toggle("is-bad", bytes > MAX_BYTES);
    code.replaceChildren(
      ...pieces.map(({ kind, text: whole, variable }) => {
        const text = plainBlock(whole);
        if (variable !== undefined) {
          return element("mark", { class: "json-variable", title: `#${variable}` }, text);
        }
        return kind === "space" || kind === "punctuation" ? text : element("span", { class: CLASSES[kind] }, text);
      }),
      more ? "…" : "",
    );
  }
}

const CLASSES = { key: "json-key", string: "json-string", number: "json-value", word: "json-value" };

if (customElements.get("template-preview") === undefined) {
  customElements.define("template-preview", TemplatePreview);
}
