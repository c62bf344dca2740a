/** `<live-metrics>`: the cards follow what happens, at a modest pace; the link to older attempts follows the table. */
import { whenParsed } from "../lib/dom.ts";
import { type Figures, shownFigure } from "../lib/figures.ts";
import { language } from "../lib/language.ts";

const POLL_MS = 30_000;
/** However many attempts come, the figures are asked for once in this time. */
const AT_MOST_EVERY_MS = 3_000;
/** What the stream has shown may not be in the figures yet. */
const FIGURES_SETTLE_MS = 4_000;

class LiveMetrics extends HTMLElement {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due = 0;
  #asking = false;
  #moved = false;
  /** Whether something happened since the figures were asked for. */
  #unsettled = false;
  #stops = new AbortController();

  connectedCallback(): void {
    whenParsed(() => this.#begin());
  }

  disconnectedCallback(): void {
    clearTimeout(this.#timer);
    this.#stops.abort();
  }

  #begin(): void {
    this.#stops = new AbortController();
    const { signal } = this.#stops;
    document.addEventListener("attempts", () => this.#ask(), { signal });
    document.addEventListener("visibilitychange", () => document.hidden || this.#ask(), { signal });
    document.addEventListener("click", (event) => void this.#older(event), { signal });
    this.#later(POLL_MS);
  }

  /** Asks soon, and once more when that has settled; what happens in the meantime is in the same answer. */
  #ask(): void {
    this.#moved = true;
    this.#unsettled = true;
    this.#later(AT_MOST_EVERY_MS);
  }

  #later(ms: number): void {
    const at = Date.now() + ms;
    if (this.#timer !== undefined && this.#due <= at) {
      return;
    }
    clearTimeout(this.#timer);
    this.#due = at;
    this.#timer = setTimeout(() => void this.#refresh(), ms);
  }

  async #refresh(): Promise<void> {
    this.#timer = undefined;
    const next = this.#unsettled ? FIGURES_SETTLE_MS : POLL_MS;
    this.#unsettled = false;
    const url = this.getAttribute("data-url");
    if (url !== null && !document.hidden && !this.#asking) {
      this.#asking = true;
      try {
        const response = await fetch(url, { signal: this.#stops.signal, headers: { Accept: "application/json" } });
        if (response.ok) {
          this.#show((await response.json()) as Figures);
        }
      } catch {
        // The figures that are shown stay; the next time comes.
      } finally {
        this.#asking = false;
      }
    }
    if (!this.#stops.signal.aborted) {
      this.#later(next);
    }
  }

  #show(figures: Figures): void {
    for (const shown of this.querySelectorAll<HTMLElement>("[data-figure]")) {
      const text = shownFigure(figures, shown.dataset.figure as keyof Figures, language());
      if (shown.textContent !== text) {
        shown.textContent = text;
        const card = shown.parentElement;
        card?.classList.remove("is-changed");
        // Read, so that the animation begins anew.
        void card?.offsetWidth;
        card?.classList.add("is-changed");
      }
    }
  }

  /** Rows that came have pushed others off the table's end: the next page begins after those that are shown now. */
  async #older(event: MouseEvent): Promise<void> {
    const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>("a[data-older]") : null;
    const table = document.querySelector("live-attempts[data-first-page]");
    const list = table?.getAttribute("data-list");
    if (link === null || !this.#moved || !list || event.ctrlKey || event.metaKey || event.shiftKey) {
      return;
    }
    event.preventDefault();
    const target = new URL(link.href);
    try {
      const status = table?.getAttribute("data-status");
      const query = new URLSearchParams({
        limit: table?.getAttribute("data-limit") ?? "50",
        ...(status ? { status } : {}),
      });
      const response = await fetch(`${list}?${query}`, { headers: { Accept: "application/json" } });
      const { next_cursor } = (await response.json()) as { next_cursor?: string | null };
      if (response.ok && next_cursor) {
        target.searchParams.set("cursor", next_cursor);
      }
    } catch {
      // The page that the link leads to is as good as it was.
    }
    location.assign(target);
  }
}

if (customElements.get("live-metrics") === undefined) {
  customElements.define("live-metrics", LiveMetrics);
}
