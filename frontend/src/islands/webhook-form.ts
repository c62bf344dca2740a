/** `<webhook-form>`: what in the form depends on the event type follows it; templates and variables come at a click. */
import { element, jsonText, whenParsed } from "../lib/dom.ts";
import { bytesOf } from "../lib/form.ts";
import { Texts } from "../lib/text.ts";
import type { Variable } from "../lib/variables.ts";

/** An event type as the page gives it. `templates` are JSON objects by name: `example`, `slack`, `teams`. */
interface EventType {
  readonly event_type: string;
  readonly variables: readonly Variable[];
  readonly sample_values?: Readonly<Record<string, unknown>>;
  readonly templates?: Readonly<Record<string, unknown>>;
}

interface Editor extends HTMLElement {
  value: string;
  insertVariable(name: string): void;
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
    const area = this.querySelector<HTMLTextAreaElement>("json-editor textarea");
    this.#inserted = Object.entries(this.#current?.templates ?? {})
      .map(([name, template]) => ({ name, text: JSON.stringify(template, null, 2) }))
      .find(({ text }) => text === area?.value);
    this.#select?.addEventListener("change", () => this.#follow());
    this.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button") : null;
      if (button !== null && this.#pressed(button)) {
        // Without script these buttons send the form.
        event.preventDefault();
      }
    });
    // Before anybody takes it for sent.
    this.addEventListener("submit", (event) => this.#refuseTooLarge(event), { capture: true });
    for (const told of ["input", "change"]) {
      this.addEventListener(told, (event) => this.#forgive(event));
    }
    this.#follow();
  }

  #pressed(button: HTMLButtonElement): boolean {
    const { insertTemplate, insertVariable } = button.dataset;
    if (insertTemplate !== undefined) {
      this.#insert(insertTemplate, true);
    } else if (insertVariable !== undefined) {
      this.#editor?.insertVariable(insertVariable);
    } else if ("addRow" in button.dataset) {
      this.#addRow();
    } else if ("removeRow" in button.dataset) {
      this.#removeRow(button);
    } else {
      return false;
    }
    return true;
  }

  /** What the server would not take stays here, where it can be made shorter. */
  #refuseTooLarge(event: SubmitEvent): void {
    const form = event.target instanceof HTMLFormElement ? event.target : null;
    const bar = form?.querySelector<HTMLElement>("[data-most-bytes]");
    const said = bar?.querySelector<HTMLElement>('[role="alert"]');
    if (form === null || !bar || !said) {
      return;
    }
    const tooLarge = bytesOf(new FormData(form, event.submitter)) > Number(bar.dataset.mostBytes);
    said.hidden = !tooLarge;
    if (tooLarge) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  }

  #addRow(): void {
    const last = [...this.querySelectorAll("[data-row]")].at(-1);
    const row = last?.cloneNode(true);
    if (last === undefined || !(row instanceof HTMLElement)) {
      return;
    }
    for (const input of row.querySelectorAll("input")) {
      input.value = "";
    }
    last.after(row);
    row.querySelector("input")?.focus();
  }

  #removeRow(button: HTMLButtonElement): void {
    const row = button.closest("[data-row]");
    const rows = [...this.querySelectorAll("[data-row]")];
    if (row === null) {
      return;
    }
    if (rows.length > 1) {
      const next = rows[rows.indexOf(row) + 1] ?? rows[rows.indexOf(row) - 1];
      row.remove();
      next?.querySelector("input")?.focus();
    } else {
      for (const input of row.querySelectorAll("input")) {
        input.value = "";
      }
    }
  }

  /** What was said of a field before it was changed holds no more. */
  #forgive(event: Event): void {
    const field = event.target instanceof Element ? event.target.closest("[data-field]") : null;
    for (const said of field?.querySelectorAll(".field-error") ?? []) {
      said.remove();
    }
    for (const marked of field?.querySelectorAll('input[aria-invalid], select[aria-invalid], [role="group"]') ?? []) {
      marked.removeAttribute("aria-invalid");
    }
  }

  get #editor(): Editor | null {
    return this.querySelector<Editor>("json-editor");
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
    for (const part of this.querySelectorAll<HTMLElement>("[data-only-for]")) {
      part.hidden = !part.dataset.onlyFor?.split(" ").includes(type?.event_type ?? "");
    }
    this.#listVariables(type?.variables ?? []);
    for (const button of this.querySelectorAll<HTMLButtonElement>("button[data-insert-template]")) {
      button.disabled = type?.templates?.[button.dataset.insertTemplate ?? ""] === undefined;
    }
    if (this.#inserted !== undefined && this.#untouched()) {
      this.#insert(this.#inserted.name, false);
    }
  }

  #listVariables(variables: readonly Variable[]): void {
    const list = this.querySelector("[data-variable-list]");
    const shown = [...(list?.querySelectorAll<HTMLElement>("[data-insert-variable]") ?? [])];
    if (
      list === null ||
      shown.map((one) => one.dataset.insertVariable).join() === variables.map((one) => one.name).join()
    ) {
      return;
    }
    list.replaceChildren(
      ...variables.map(({ name, caption }) =>
        element(
          "li",
          {},
          element(
            "button",
            { type: "button", "data-insert-variable": name },
            element("code", {}, `#${name}`),
            element("span", {}, caption),
          ),
        ),
      ),
    );
    list.scrollTop = 0;
  }

  /** Puts a ready template into the editor; what somebody wrote there is replaced only when they say so. */
  #insert(name: string, focus: boolean): void {
    const template = this.#current?.templates?.[name];
    const editor = this.#editor;
    if (template === undefined || editor === null) {
      return;
    }
    const text = JSON.stringify(template, null, 2);
    if (text !== editor.value && !this.#untouched() && !confirm(this.#texts.get("replace"))) {
      return;
    }
    if (text !== editor.value) {
      editor.value = text;
    }
    this.#inserted = { name, text };
    if (focus) {
      editor.focus();
    }
  }

  /** Whether the editor is empty, or holds a ready template as it was put there. */
  #untouched(): boolean {
    const value = this.#editor?.value ?? "";
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
