/** `<webhook-form>`: what in the form depends on the event type follows it, and ready templates come at a click. */
import { jsonText, whenParsed } from "../lib/dom.ts";
import { Texts } from "../lib/text.ts";
import type { Variable } from "../lib/variables.ts";

/** An event type as the page gives it. `templates` are JSON objects by name: `example`, `slack`, `teams`. */
interface EventType {
  readonly event_type: string;
  readonly variables: readonly Variable[];
  readonly sample_values?: Readonly<Record<string, unknown>>;
  readonly templates?: Readonly<Record<string, unknown>>;
}

class WebhookForm extends HTMLElement {
  #types: readonly EventType[] = [];
  #inserted: { name: string; text: string } | undefined;
  #began = false;
  readonly #texts = new Texts("webhook-form", this);

  connectedCallback(): void {
    whenParsed(() => this.#begin());
  }

  get #select(): HTMLSelectElement | null {
    return this.querySelector('select[name="event_type"]');
  }

  get #current(): EventType | undefined {
    return this.#types.find((one) => one.event_type === this.#select?.value);
  }

  #begin(): void {
    if (this.#began) {
      return;
    }
    this.#began = true;
    this.#types = jsonText<EventType[]>(this.querySelector("script[data-event-types]")?.textContent, []);
    this.#select?.addEventListener("change", () => this.#follow());
    this.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button[data-insert-template]") : null;
      if (button instanceof HTMLButtonElement) {
        this.#insert(button.dataset.insertTemplate ?? "", true);
      }
    });
    this.#follow();
  }

  #follow(): void {
    const type = this.#current;
    const set = (selector: string, name: string, value: string) => {
      for (const one of this.querySelectorAll(selector)) {
        if (one.getAttribute(name) !== value) {
          one.setAttribute(name, value);
        }
      }
    };
    const variables = JSON.stringify(type?.variables ?? []);
    set("json-editor, template-preview", "data-variables", variables);
    set("template-preview", "data-values", JSON.stringify(type?.sample_values ?? {}));
    set("resource-picker", "data-event-type", type?.event_type ?? "");
    for (const button of this.querySelectorAll<HTMLButtonElement>("button[data-insert-template]")) {
      button.disabled = type?.templates?.[button.dataset.insertTemplate ?? ""] === undefined;
    }
    if (this.#inserted !== undefined && this.#untouched()) {
      this.#insert(this.#inserted.name, false);
    }
  }

  /** Puts a ready template into the editor; what somebody wrote there is replaced only when they say so. */
  #insert(name: string, focus: boolean): void {
    const template = this.#current?.templates?.[name];
    const editor = this.querySelector<HTMLElement & { value: string }>("json-editor");
    if (template === undefined || editor === null) {
      return;
    }
    const text = JSON.stringify(template, null, 2);
    if (text !== editor.value && !this.#untouched() && !confirm(this.#texts.get("replace"))) {
      return;
    }
    editor.value = text;
    this.#inserted = { name, text };
    if (focus) {
      editor.focus();
    }
  }

  /** Whether the editor is empty, or holds a ready template as it was put there. */
  #untouched(): boolean {
    const value = this.querySelector<HTMLElement & { value: string }>("json-editor")?.value ?? "";
    return (
      value.trim() === "" ||
      value === this.#inserted?.text ||
      this.#types.some((type) =>
        Object.values(type.templates ?? {}).some((template) => JSON.stringify(template, null, 2) === value),
      )
    );
  }
}

if (customElements.get("webhook-form") === undefined) {
  customElements.define("webhook-form", WebhookForm);
}
