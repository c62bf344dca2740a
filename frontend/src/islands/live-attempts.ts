/** `<live-attempts>`: the attempts' table follows what happens. Whatever attempts hold is only ever shown as text. */
import { type Attempt, changeOf, Held, latest, placeOf, type Row, type Status, timeOf } from "../lib/attempts.ts";
import { element, takeFocus, whenParsed } from "../lib/dom.ts";
import { plain } from "../lib/hostile.ts";
import { numbers } from "../lib/language.ts";
import { type Refusal, refusalOf, signInLink } from "../lib/refusal.ts";
import { Texts } from "../lib/text.ts";
import { showTime } from "../lib/times.ts";

const DEFAULT_LIMIT = 50;
const SAID_AT_MOST_EVERY_MS = 10_000;
const RETRY_FROM_MS = 2_000;
const RETRY_TO_MS = 30_000;
/** What the stream has shown may not be in the list yet. */
const LIST_LAGS_MS = 10_000;
const LIST_SETTLES_MS = 4_000;

type State = "connecting" | "live" | "reconnecting" | "paused" | Refusal;

interface Known extends Row {
  readonly element: HTMLTableRowElement;
  readonly seen: number;
}

class LiveAttempts extends HTMLElement {
  #body: HTMLTableSectionElement | undefined;
  #template: HTMLTemplateElement | null = null;
  #source: EventSource | undefined;
  #known = new Map<string, Known>();
  #came: Attempt[] = [];
  readonly #held = new Held();
  /** Whether it is known what there is: else nothing is said of there being none. */
  #listed = false;
  #frame = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #tries = 0;
  #lately: ReturnType<typeof setTimeout> | undefined;
  #listing: Promise<number> | undefined;
  #paused = false;
  #over = false;
  #unsaid = { changed: 0, failed: 0 };
  #saying: ReturnType<typeof setTimeout> | undefined;
  #stops = new AbortController();
  readonly #state = element("span", { class: "la-state" });
  readonly #toggle = element("button", { type: "button", class: "button button-small" });
  readonly #pill = element("button", { type: "button", class: "la-pill", hidden: true });
  readonly #said = element("p", { class: "visually-hidden", role: "status" });
  readonly #texts = new Texts("live-attempts", this);

  connectedCallback(): void {
    whenParsed(() => this.#begin());
  }

  disconnectedCallback(): void {
    this.#stops.abort();
    this.#close();
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#saying);
  }

  get #status(): string {
    return this.getAttribute("data-status") ?? "";
  }

  get #limit(): number {
    return Number(this.getAttribute("data-limit")) || DEFAULT_LIMIT;
  }

  #begin(): void {
    const body = this.querySelector("tbody");
    if (body === null) {
      return;
    }
    this.#body = body;
    this.#template = this.querySelector("template");
    this.#stops = new AbortController();
    const { signal } = this.#stops;
    this.#known.clear();
    for (const row of body.querySelectorAll<HTMLTableRowElement>("tr[data-attempt]")) {
      const at = Date.parse(row.dataset.at ?? row.querySelector("time")?.dateTime ?? "") || 0;
      for (const time of row.querySelectorAll("time")) {
        showTime(time, new Date(time.dateTime));
      }
      this.#known.set(row.dataset.attempt ?? "", { element: row, status: row.dataset.status as Status, at, seen: 0 });
    }
    this.#listed ||= this.#known.size > 0 || this.querySelector("[data-empty]:not([hidden])") !== null;
    if (this.#toggle.parentElement === null) {
      this.prepend(element("div", { class: "la-bar" }, this.#state, this.#toggle), this.#pill, this.#said);
    }
    this.#toggle.addEventListener("click", () => this.#pause(!this.#paused), { signal });
    this.#pill.addEventListener("click", () => this.#catchUp(), { signal });
    document.addEventListener("visibilitychange", () => this.#follow(), { signal });
    window.addEventListener("pagehide", () => this.#close(), { signal });
    window.addEventListener("pageshow", () => this.#follow(), { signal });
    document.addEventListener("scroll", () => this.#held.count > 0 && this.#later(), { signal, passive: true });
    body.addEventListener("focusout", () => this.#held.count > 0 && this.#later(), { signal });
    this.#pause(false);
  }

  #pause(paused: boolean): void {
    this.#paused = paused;
    this.#toggle.textContent = this.#texts.get(paused ? "resume" : "pause");
    this.#follow();
  }

  #follow(): void {
    if (this.#over) {
      return;
    }
    if (document.hidden || this.#paused) {
      this.#close();
      this.#show("paused");
    } else if (this.#source === undefined) {
      this.#open();
    }
  }

  #open(): void {
    const url = this.getAttribute("data-stream");
    if (url === null) {
      return;
    }
    this.#close();
    this.#show(this.#tries === 0 ? "connecting" : "reconnecting");
    const source = new EventSource(url);
    this.#source = source;
    source.addEventListener("open", () => {
      this.#tries = 0;
      this.#show("live");
      // What happened since the page was made, or while nobody listened; the last of it is in the list a moment later.
      void this.#bringUp();
    });
    source.addEventListener("attempt", (event) => {
      this.#came.push(JSON.parse(event.data) as Attempt);
      this.#later();
    });
    source.addEventListener("gap", () => void this.#bringUp());
    source.addEventListener("error", () => {
      if (source === this.#source) {
        this.#show("reconnecting");
        if (source.readyState === EventSource.CLOSED) {
          void this.#again();
        }
      }
    });
  }

  #close(): void {
    clearTimeout(this.#retry);
    clearTimeout(this.#lately);
    this.#source?.close();
    this.#source = undefined;
  }

  /** The browser has given up, as it does after any answer but 200: find out why, and try again later. */
  async #again(): Promise<void> {
    this.#close();
    const status = await this.#list();
    const refusal = refusalOf(status);
    if (refusal !== undefined) {
      this.#over = true;
      this.#toggle.hidden = true;
      this.#show(refusal);
      return;
    }
    this.#retry = setTimeout(() => this.#follow(), waitAfter(this.#tries));
    this.#tries += 1;
  }

  /** Asks for the list, until it is one of `LIST_SETTLES_MS` after `since`, and as long as the stream is open. */
  async #bringUp(since = performance.now(), tries = 0): Promise<void> {
    const settled = performance.now() - since >= LIST_SETTLES_MS;
    const status = await this.#list();
    clearTimeout(this.#lately);
    const failed = status === 0 || status >= 500;
    if (this.#source?.readyState === EventSource.OPEN && (failed || !settled)) {
      const wait = failed ? waitAfter(tries) : LIST_SETTLES_MS;
      this.#lately = setTimeout(() => void this.#bringUp(since, failed ? tries + 1 : 0), wait);
    }
  }

  /** Brings the rows up to date with the list; gives the answer's status, 0 where there was none. */
  #list(): Promise<number> {
    this.#listing ??= this.#fetchList().finally(() => {
      this.#listing = undefined;
    });
    return this.#listing;
  }

  async #fetchList(): Promise<number> {
    const url = this.getAttribute("data-list");
    if (url === null) {
      return 0;
    }
    const query = new URLSearchParams({ limit: `${this.#limit}`, ...(this.#status ? { status: this.#status } : {}) });
    try {
      const response = await fetch(`${url}?${query}`, {
        signal: this.#stops.signal,
        headers: { Accept: "application/json" },
      });
      if (response.ok) {
        const { items } = (await response.json()) as { items: Attempt[] };
        this.#listed = true;
        this.#forget(items);
        this.#came.push(...items);
        this.#later();
      }
      return response.status;
    } catch {
      return 0;
    }
  }

  /** Takes away rows that the list would have if they still were as they are shown. */
  #forget(items: readonly Attempt[]): void {
    const ids = new Set(items.map((item) => item.id));
    const oldest = items.length < this.#limit ? 0 : Math.min(...items.map(timeOf));
    for (const [id, row] of this.#known) {
      if (!ids.has(id) && row.at > oldest && Date.now() - row.seen > LIST_LAGS_MS) {
        this.#drop(id, row.element);
      }
    }
  }

  #later(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#apply());
  }

  #apply(): void {
    const came = latest(this.#came.splice(0));
    for (const attempt of came.values()) {
      const row = this.#known.get(attempt.id);
      if (row === undefined) {
        this.#held.take(attempt, this.#status);
        continue;
      }
      const change = changeOf(attempt, row, this.#status);
      if (change === "update") {
        this.#update(attempt, row);
      } else if (change === "remove") {
        this.#drop(attempt.id, row.element);
      }
    }
    if (came.size > 0) {
      this.dispatchEvent(new CustomEvent("attempts", { bubbles: true, detail: { attempts: [...came.values()] } }));
    }
    this.#insertHeld();
  }

  /** Shows what is new, unless rows would move away under somebody who reads further down, or is in one of them. */
  #insertHeld(): void {
    this.#held.trim(this.#limit, this.#oldest());
    const first = this.hasAttribute("data-first-page");
    const away = this.getBoundingClientRect().top < 0 || this.#body?.contains(document.activeElement) === true;
    if (first && !away) {
      for (const attempt of this.#held.newest) {
        this.#add(attempt);
      }
      if (this.#held.passedOver > 0) {
        void this.#bringUp();
      }
      this.#held.clear();
      this.#trim();
    }
    this.#pill.hidden = this.#held.count === 0;
    this.#pill.textContent = this.#texts.count("new", this.#held.count);
    this.querySelector<HTMLElement>("[data-empty]")?.toggleAttribute("hidden", this.#known.size > 0 || !this.#listed);
    this.#say();
  }

  /** The time of a full page's last row: what is older belongs to a later page. */
  #oldest(): number {
    return this.#known.size < this.#limit ? 0 : Math.min(...[...this.#known.values()].map((row) => row.at));
  }

  #catchUp(): void {
    const first = this.getAttribute("data-first-page-url");
    if (!this.hasAttribute("data-first-page") && first !== null) {
      location.assign(first);
      return;
    }
    takeFocus(this);
    this.scrollIntoView({ block: "start" });
    this.#later();
  }

  #add(attempt: Attempt): void {
    const made = this.#template?.content.querySelector("tr")?.cloneNode(true);
    if (!(made instanceof HTMLTableRowElement)) {
      return;
    }
    made.dataset.attempt = attempt.id;
    for (const link of made.querySelectorAll<HTMLElement>("[data-href]")) {
      const address = (link.dataset.href ?? "")
        .replace("{id}", encodeURIComponent(attempt.id))
        .replace("{message_id}", encodeURIComponent(attempt.message_id));
      link.setAttribute("href", address);
    }
    made.classList.add("la-new");
    this.#put(attempt, made);
    this.#count(attempt);
  }

  #update(attempt: Attempt, row: Known): void {
    if (row.status !== attempt.status) {
      this.#count(attempt);
    }
    this.#put(attempt, row.element);
  }

  /** Fills a row and moves it to its place. */
  #put(attempt: Attempt, row: HTMLTableRowElement): void {
    row.dataset.status = attempt.status;
    for (const cell of row.querySelectorAll<HTMLElement>("[data-field]")) {
      this.#fill(cell, attempt);
    }
    const at = timeOf(attempt);
    const moved = this.#known.get(attempt.id)?.at !== at;
    this.#known.set(attempt.id, { element: row, status: attempt.status, at, seen: Date.now() });
    if (moved) {
      const others = [...this.#known].filter(
        ([id, { element }]) => id !== attempt.id && element.parentElement !== null,
      );
      const sorted = others.map(([, other]) => other).sort((one, other) => other.at - one.at);
      const place = placeOf(
        sorted.map((other) => other.at),
        at,
      );
      this.#move(row, sorted[place]?.element ?? null);
    }
  }

  /** A row that is taken out loses the focus, also where it comes back at once. */
  #move(row: HTMLTableRowElement, before: HTMLTableRowElement | null): void {
    if (row.parentElement === this.#body && row.nextElementSibling === before) {
      return;
    }
    const focused = document.activeElement;
    const held = focused instanceof HTMLElement && row.contains(focused);
    this.#body?.insertBefore(row, before);
    if (held) {
      takeFocus(focused);
    }
  }

  /** Takes a row away. Whoever was in it is in one beside it then, or at the table where there is none. */
  #drop(id: string, row: HTMLTableRowElement): void {
    const beside = row.nextElementSibling ?? row.previousElementSibling;
    const held = row.contains(document.activeElement);
    row.remove();
    this.#known.delete(id);
    if (held) {
      takeFocus(beside?.querySelector<HTMLElement>("a[href], button, [tabindex]") ?? this);
    }
  }

  #fill(cell: HTMLElement, attempt: Attempt): void {
    const number = numbers();
    switch (cell.dataset.field) {
      case "status":
        this.#fillStatus(cell, attempt.status);
        break;
      case "duration_ms":
        cell.textContent =
          attempt.duration_ms === null ? "–" : this.#texts.get("ms", { n: number.format(attempt.duration_ms) });
        break;
      case "executed_on":
        this.#fillTime(cell, attempt);
        break;
      case "response_code":
      case "error":
      case "message_id":
        cell.textContent = plain(`${attempt[cell.dataset.field] ?? "–"}`);
        break;
      case "attempt":
      case "run":
        cell.textContent = number.format(attempt[cell.dataset.field]);
        break;
    }
  }

  /** The badge comes from the template, which has one for each status. */
  #fillStatus(cell: HTMLElement, status: Status): void {
    const badges = this.#template?.content.querySelector('[data-field="status"]');
    const badge = badges?.querySelector(`[data-when="${status}"]`)?.cloneNode(true);
    cell.replaceChildren(badge ?? status);
  }

  #fillTime(cell: HTMLElement, attempt: Attempt): void {
    const time = element("time", {});
    if (attempt.executed_on !== null) {
      showTime(time, new Date(attempt.executed_on));
      cell.replaceChildren(time);
    } else if (attempt.next_attempt_at !== null) {
      showTime(time, new Date(attempt.next_attempt_at));
      const [before = "", after = ""] = this.#texts.get("due", { time: "\u0000" }).split("\u0000");
      cell.replaceChildren(element("span", { class: "muted" }, before, time, after));
    } else {
      cell.textContent = "–";
    }
  }

  #trim(): void {
    const rows = [...this.#known].sort(([, one], [, other]) => other.at - one.at);
    for (const [id, row] of rows.slice(this.#limit)) {
      this.#drop(id, row.element);
    }
  }

  #count(attempt: Attempt): void {
    this.#unsaid.changed += 1;
    this.#unsaid.failed += attempt.status === "failed" ? 1 : 0;
  }

  #say(): void {
    if (this.#unsaid.changed === 0 || this.#saying !== undefined) {
      return;
    }
    this.#saying = setTimeout(() => {
      const { changed, failed } = this.#unsaid;
      const sentences = [this.#texts.count("said", changed)];
      if (failed > 0) {
        sentences.push(this.#texts.count("said-failed", failed));
      }
      this.#said.textContent = sentences.join(" ");
      this.#unsaid = { changed: 0, failed: 0 };
      this.#saying = undefined;
    }, SAID_AT_MOST_EVERY_MS);
  }

  #show(state: State): void {
    const changed = state !== this.#state.dataset.state;
    const link = state === "ended" ? [" ", signInLink(this.#texts.get("sign-in"))] : [];
    this.#state.replaceChildren(this.#texts.get(state), ...link);
    this.#state.dataset.state = state;
    if (changed) {
      // What goes on as it should is not told.
      this.#said.textContent = state === "live" || state === "connecting" ? "" : this.#texts.get(state);
    }
  }
}

/** Longer each time, and not at the same moment for everybody. */
function waitAfter(tries: number): number {
  return Math.min(RETRY_FROM_MS * 2 ** tries, RETRY_TO_MS) * (0.75 + Math.random() / 2);
}

if (customElements.get("live-attempts") === undefined) {
  customElements.define("live-attempts", LiveAttempts);
}
