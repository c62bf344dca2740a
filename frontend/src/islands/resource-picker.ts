/** `<resource-picker>`: all items of an event type, or those that are chosen from a list of thousands. */
import { element, jsonAttribute, whenParsed } from "../lib/dom.ts";
import { plain } from "../lib/hostile.ts";
import { numbers } from "../lib/language.ts";
import { refusalOf, signInBeside } from "../lib/refusal.ts";
import { kindOf, type Resource, safeUrl } from "../lib/resources.ts";
import { Texts } from "../lib/text.ts";
import type { Key } from "../texts.ts";

const PAGE = 100;
const SEARCH_AFTER_MS = 200;
const CHIPS_AT_FIRST = 30;

interface Page {
  readonly items: readonly Resource[];
  readonly next_cursor: string | null;
}

class ResourcePicker extends HTMLElement {
  static readonly observedAttributes = ["data-event-type"];

  #all: HTMLInputElement | null = null;
  #shown: Resource[] = [];
  #cursor: string | null = null;
  #loading: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #expanded = false;
  #began = false;
  /** What is chosen, by kind: whoever goes back to an event type finds what was chosen there. */
  readonly #chosen = new Map<string, Map<string, Resource>>();
  readonly #search = element("input", { type: "search", class: "input", autocomplete: "off", spellcheck: "false" });
  readonly #list = element("ul", { class: "rp-list" });
  readonly #end = element("li", { class: "rp-end", "aria-hidden": "true" });
  readonly #note = element("p", { class: "rp-note", role: "status" });
  readonly #chips = element("ul", { class: "rp-chips" });
  readonly #count = element("span", { class: "rp-count", role: "status" });
  readonly #clear = element("button", { type: "button", class: "button button-small button-quiet" });
  readonly #inputs = element("div", { hidden: true });
  readonly #choosing = element("div", { class: "rp-choosing" });
  readonly #scroll = element("div", { class: "rp-scroll" });
  readonly #texts = new Texts("resource-picker", this);

  connectedCallback(): void {
    whenParsed(() => this.#begin());
  }

  disconnectedCallback(): void {
    this.#loading?.abort();
    clearTimeout(this.#timer);
  }

  attributeChangedCallback(_: string, before: string | null, after: string | null): void {
    if (this.#began && before !== after) {
      this.#search.value = "";
      this.#follow();
    }
  }

  /** What the form would post: whether all items are meant, and the ids chosen for this event type. */
  get value(): { all: boolean; ids: string[] } {
    return { all: this.#all?.checked ?? false, ids: [...this.#current.keys()] };
  }

  get #eventType(): string {
    return this.getAttribute("data-event-type") ?? "";
  }

  get #current(): Map<string, Resource> {
    const kind = kindOf(this.#eventType);
    const chosen = this.#chosen.get(kind) ?? new Map<string, Resource>();
    this.#chosen.set(kind, chosen);
    return chosen;
  }

  #begin(): void {
    if (this.#began) {
      return;
    }
    this.#began = true;
    for (const chosen of jsonAttribute<Resource[]>(this, "data-selected", [])) {
      this.#current.set(chosen.id, chosen);
    }
    this.querySelector("[data-fallback]")?.remove();
    this.#all = this.querySelector<HTMLInputElement>('input[type="checkbox"][data-all]');
    this.#all?.addEventListener("change", () => this.#changed());
    this.#search.placeholder = this.#texts.get("search");
    this.#search.setAttribute("aria-label", this.#texts.get("search"));
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.#load(true), SEARCH_AFTER_MS);
    });
    this.#search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        // Searching does not send the form.
        event.preventDefault();
      } else if (event.key === "ArrowDown") {
        event.preventDefault();
        this.#list.querySelector<HTMLInputElement>("input")?.focus();
      }
    });
    this.#list.setAttribute("aria-label", this.#texts.get("list"));
    this.#list.addEventListener("change", (event) => this.#picked(event));
    this.#list.addEventListener("keydown", (event) => this.#move(event));
    this.#clear.textContent = this.#texts.get("clear-all");
    this.#clear.addEventListener("click", () => {
      this.#current.clear();
      this.#marks();
      this.#changed();
      this.#search.focus();
    });
    this.#chips.setAttribute("aria-label", this.#texts.get("selected"));
    this.#scroll.append(this.#list);
    // What is chosen stands below: it grows, and the list does not move under the pointer.
    const icon = this.querySelector("template")?.content ?? "";
    this.#choosing.append(
      element("div", { class: "with-icon" }, icon, this.#search),
      element("div", { class: "rp-box" }, this.#scroll, this.#note),
      element("div", { class: "rp-chosen" }, this.#count, this.#clear, this.#chips),
    );
    this.append(this.#choosing, this.#inputs);
    new IntersectionObserver(
      (entries) => {
        if (this.#cursor !== null && this.#loading === undefined && entries.some((entry) => entry.isIntersecting)) {
          void this.#load(false);
        }
      },
      { root: this.#scroll, rootMargin: "300px" },
    ).observe(this.#end);
    this.#follow();
    this.dataset.ready = "";
  }

  #follow(): void {
    const label = this.querySelector("[data-all-label]");
    const key = `all-${this.#eventType}`;
    if (label !== null && this.#eventType !== "") {
      label.textContent = this.#texts.get(key as Key<"resource-picker">);
    }
    this.#expanded = false;
    this.#changed(false);
    void this.#load(true);
  }

  #changed(tell = true): void {
    const all = this.#all?.checked ?? false;
    this.#choosing.hidden = all;
    const name = this.getAttribute("data-name") ?? "items";
    this.#inputs.replaceChildren(
      ...(all ? [] : [...this.#current.keys()].map((value) => element("input", { type: "hidden", name, value }))),
    );
    this.#drawChips();
    if (tell) {
      this.dispatchEvent(new CustomEvent("change", { bubbles: true, detail: this.value }));
    }
  }

  #drawChips(): void {
    const chosen = [...this.#current.values()];
    const shown = this.#expanded ? chosen : chosen.slice(0, CHIPS_AT_FIRST);
    this.#count.textContent =
      chosen.length === 0 ? this.#texts.get("none") : this.#texts.count("selected-count", chosen.length);
    this.#clear.hidden = chosen.length < 2;
    this.#chips.hidden = chosen.length === 0;
    this.#chips.replaceChildren(...shown.map((resource) => this.#chip(resource)));
    const more = chosen.length - shown.length;
    if (more > 0) {
      const button = element(
        "button",
        { type: "button", class: "button button-small button-quiet" },
        this.#texts.count("show-more", more),
      );
      button.addEventListener("click", () => {
        this.#expanded = true;
        this.#drawChips();
      });
      this.#chips.append(element("li", {}, button));
    }
  }

  #chip(resource: Resource): HTMLLIElement {
    const name = plain(resource.name ?? resource.id);
    const gone = resource.name == null;
    const remove = element(
      "button",
      { type: "button", "aria-label": this.#texts.get("remove", { name }), title: this.#texts.get("remove", { name }) },
      "×",
    );
    remove.addEventListener("click", () => {
      const index = [...this.#chips.children].indexOf(chip);
      this.#current.delete(resource.id);
      this.#marks();
      this.#changed();
      const buttons = this.#chips.querySelectorAll("button");
      (buttons[Math.min(index, buttons.length - 1)] ?? this.#search).focus();
    });
    const chip = element(
      "li",
      { class: gone ? "rp-chip is-gone" : "rp-chip", title: gone ? this.#texts.get("no-longer") : plain(resource.id) },
      element("bdi", {}, name),
      ...(gone ? [element("span", { class: "visually-hidden" }, ` (${this.#texts.get("no-longer")})`)] : []),
      remove,
    );
    return chip;
  }

  async #load(fromStart: boolean): Promise<void> {
    this.#loading?.abort();
    this.#loading = undefined;
    if (this.#eventType === "") {
      this.#list.replaceChildren();
      this.#note.textContent = this.#texts.get("choose-type");
      return;
    }
    const loading = new AbortController();
    this.#loading = loading;
    const search = this.#search.value.trim();
    const query = new URLSearchParams({ event_type: this.#eventType, limit: `${PAGE}` });
    if (search !== "") {
      query.set("search", search);
    }
    if (!fromStart && this.#cursor !== null) {
      query.set("cursor", this.#cursor);
    }
    this.#scroll.toggleAttribute("data-loading", true);
    try {
      const response = await fetch(`${this.getAttribute("data-url")}?${query}`, {
        signal: loading.signal,
        headers: { Accept: "application/json" },
      });
      if (response.ok) {
        this.#show((await response.json()) as Page, fromStart, search);
      } else {
        this.#fail(fromStart, refusalOf(response.status) === "ended");
      }
    } catch {
      if (!loading.signal.aborted) {
        this.#fail(fromStart);
      }
    }
    if (this.#loading === loading) {
      this.#loading = undefined;
      this.#scroll.toggleAttribute("data-loading", false);
    }
  }

  #fail(fromStart: boolean, ended = false): void {
    const again = element("button", { type: "button", class: "button button-small" }, this.#texts.get("retry"));
    again.addEventListener("click", () => void this.#load(fromStart));
    const why = ended
      ? [this.#texts.get("ended"), " ", signInBeside(this.#texts.get("sign-in"))]
      : [this.#texts.get("failed")];
    this.#note.replaceChildren(...why, " ", again);
  }

  #show(page: Page, fromStart: boolean, search: string): void {
    if (fromStart) {
      this.#shown = [];
      this.#list.replaceChildren();
      this.#scroll.scrollTop = 0;
    }
    this.#cursor = page.next_cursor;
    this.#shown.push(...page.items);
    for (const item of page.items) {
      // A chosen one that came as an id alone is there after all.
      if (this.#current.get(item.id)?.name === null) {
        this.#current.set(item.id, item);
      }
    }
    this.#end.remove();
    this.#list.append(...page.items.map((item) => this.#row(item)));
    if (this.#cursor !== null) {
      this.#list.append(this.#end);
    }
    this.#rove(this.#list.querySelector('input[tabindex="0"]') ?? this.#list.querySelector("input"));
    const n = this.#shown.length;
    this.#note.textContent =
      n === 0
        ? this.#texts.get(search === "" ? "nothing-there" : "nothing-found", { search })
        : this.#cursor === null
          ? this.#texts.count("shown-count", n)
          : this.#texts.get("shown-more", { n: numbers().format(n) });
  }

  #row(resource: Resource): HTMLLIElement {
    const name = plain(resource.name ?? resource.id);
    const box = element("input", { type: "checkbox", value: resource.id, tabindex: "-1" });
    box.checked = this.#current.has(resource.id);
    const url = safeUrl(resource.url);
    const link =
      url === undefined
        ? []
        : [
            element(
              "a",
              {
                href: url,
                target: "_blank",
                rel: "noopener noreferrer",
                tabindex: "-1",
                "aria-label": this.#texts.get("view-name", { name }),
              },
              this.#texts.get("view"),
            ),
          ];
    const label = element(
      "label",
      {},
      box,
      element("bdi", { class: "rp-name" }, name),
      ...(resource.name === resource.id ? [] : [element("bdi", { class: "rp-id" }, plain(resource.id))]),
    );
    return element("li", { class: "rp-row" }, label, ...link);
  }

  #picked(event: Event): void {
    const box = event.target;
    if (!(box instanceof HTMLInputElement)) {
      return;
    }
    event.stopPropagation();
    const resource = this.#shown.find((one) => one.id === box.value);
    if (resource !== undefined && box.checked) {
      this.#current.set(resource.id, resource);
    } else {
      this.#current.delete(box.value);
    }
    this.#changed();
  }

  #marks(): void {
    for (const box of this.#list.querySelectorAll<HTMLInputElement>("input")) {
      box.checked = this.#current.has(box.value);
    }
  }

  /** In the list arrows go from row to row, so that Tab leaves it. */
  #move(event: KeyboardEvent): void {
    const row = event.target instanceof Element ? event.target.closest("li") : null;
    const rows = [...this.#list.querySelectorAll(".rp-row")];
    const at = row === null ? -1 : rows.indexOf(row);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (to === undefined || at === -1) {
      return;
    }
    event.preventDefault();
    const next = rows[to]?.querySelector("input") ?? (to < 0 ? this.#search : null);
    if (next instanceof HTMLInputElement) {
      this.#rove(next === this.#search ? null : next);
      next.focus();
    }
  }

  #rove(to: HTMLInputElement | null): void {
    if (to === null) {
      return;
    }
    for (const one of this.#list.querySelectorAll('[tabindex="0"]')) {
      one.setAttribute("tabindex", "-1");
    }
    for (const one of to.closest("li")?.querySelectorAll("input, a") ?? []) {
      one.setAttribute("tabindex", "0");
    }
  }
}

if (customElements.get("resource-picker") === undefined) {
  customElements.define("resource-picker", ResourcePicker);
}
