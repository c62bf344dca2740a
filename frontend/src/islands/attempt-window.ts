/**
 * `<attempt-window>`: the details of an attempt in a window over the table, the same as on their own page.
 *
 * The address is the page's while the window is open, so that it can be shared; Back closes the window. What is shown
 * comes from the server as it stands there: text is text, whatever it holds.
 */
import { element, takeFocus, whenParsed } from "../lib/dom.ts";
import { Texts } from "../lib/text.ts";
import { showTime } from "../lib/times.ts";

/** What the stream has shown is in the log a moment later. */
const NOT_YET_MS = 700;
const TRIES = 6;
const REFRESHES_MS = [1_200, 4_000];

class AttemptWindow extends HTMLElement {
  #dialog: HTMLDialogElement | null = null;
  #content: HTMLElement | null = null;
  /** The attempt of which the address is the page's; it stays until the address has gone back. */
  #href = "";
  /** What was opened while the window before it was being closed. */
  #next = "";
  #opener: Element | null = null;
  /** What is around the opener's table: the opener's row may go while the window is open. */
  #around: HTMLElement | null | undefined;
  #asking: AbortController | undefined;
  #refreshes: ReturnType<typeof setTimeout>[] = [];
  /** Each part as it came, to know what has changed. */
  #came = new Map<string, string>();
  #stops = new AbortController();
  readonly #texts = new Texts("attempt-window", this);

  connectedCallback(): void {
    whenParsed(() => this.#begin());
  }

  disconnectedCallback(): void {
    this.#stops.abort();
    this.#asking?.abort();
  }

  #begin(): void {
    const dialog = this.querySelector("dialog");
    const content = this.querySelector<HTMLElement>("[data-content]");
    if (dialog === null || content === null) {
      return;
    }
    this.#dialog = dialog;
    this.#content = content;
    this.#stops = new AbortController();
    const { signal } = this.#stops;
    document.addEventListener("click", (event) => this.#clicked(event), { signal });
    document.addEventListener("attempts", (event) => this.#happened(event as CustomEvent), { signal });
    content.addEventListener("submit", (event) => void this.#submit(event), { signal });
    dialog.addEventListener("close", () => this.#closed(), { signal });
    window.addEventListener("popstate", () => this.#went(dialog), { signal });
  }

  /** Back and Forward: the window is open while the address is that of an attempt. */
  #went(dialog: HTMLDialogElement): void {
    if (dialog.open && location.pathname !== this.#path()) {
      dialog.close();
    } else if (!dialog.open && history.state?.window) {
      this.#present(location.href);
    } else if (!dialog.open && this.#href !== "") {
      this.#left();
    }
  }

  #path(): string {
    return new URL(this.#href, location.href).pathname;
  }

  #clicked(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) {
      return;
    }
    const target = event.target instanceof Element ? event.target : null;
    const copies = target?.closest<HTMLElement>("[data-copy]");
    if (copies && this.contains(copies)) {
      void this.#copy(copies);
      return;
    }
    const link = target?.closest<HTMLAnchorElement>("a[data-attempt-link], attempt-window a[data-in-window]");
    if (link) {
      event.preventDefault();
      this.#open(link.href);
    }
  }

  #open(href: string): void {
    const dialog = this.#dialog;
    if (dialog === null) {
      return;
    }
    if (!dialog.open && this.#href !== "") {
      this.#next = href;
      return;
    }
    if (dialog.open) {
      history.replaceState({ window: true }, "", href);
    } else {
      history.pushState({ window: true }, "", href);
    }
    this.#present(href);
  }

  #present(href: string): void {
    if (!this.#dialog?.open) {
      this.#opener = document.activeElement;
      this.#around = this.#opener?.closest("table")?.parentElement;
      this.#dialog?.showModal();
    }
    this.#href = href;
    this.#next = "";
    const skeleton = this.querySelector("template")?.content.cloneNode(true);
    this.#content?.replaceChildren(...(skeleton ? [skeleton] : []));
    void this.#load(href);
  }

  #closed(): void {
    if (this.#dialog?.open) {
      // Forward has opened it again before this was told.
      return;
    }
    this.#asking?.abort();
    this.#forget();
    this.#content?.replaceChildren();
    if (this.#around && !this.#opener?.isConnected) {
      takeFocus(this.#around);
    }
    if (this.#href !== "" && location.pathname === this.#path()) {
      history.back();
    } else {
      this.#left();
    }
  }

  /** The window is closed and the address is the page's again: both happen some time after they were asked for. */
  #left(): void {
    const next = this.#next;
    this.#href = this.#next = "";
    if (next !== "") {
      this.#open(next);
    }
  }

  #forget(): void {
    for (const one of this.#refreshes.splice(0)) {
      clearTimeout(one);
    }
  }

  async #load(href: string): Promise<void> {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    for (let tries = 1; !asking.signal.aborted; tries += 1) {
      try {
        const response = await fetch(href, { signal: asking.signal, headers: { Accept: "text/html" } });
        if (response.status === 404 && tries < TRIES) {
          await new Promise((resolve) => setTimeout(resolve, NOT_YET_MS));
          continue;
        }
        if (!this.#show(await response.text(), response)) {
          return;
        }
        this.#content?.querySelector<HTMLElement>("#attempt-title")?.focus({ preventScroll: true });
      } catch {
        if (!asking.signal.aborted) {
          this.#fail(href);
        }
      }
      return;
    }
  }

  /** Puts what a page holds into the window; a page that is none of an attempt is gone to. */
  #show(html: string, response: Response): boolean {
    const page = new DOMParser().parseFromString(html, "text/html");
    const attempt = page.querySelector("#attempt");
    if (attempt === null) {
      if (response.redirected || response.status === 401) {
        location.assign(response.url);
      } else {
        this.#content?.replaceChildren(...[...(page.querySelector("main")?.children ?? [])].map(adopted));
      }
      return false;
    }
    this.#came = new Map(parts(attempt).map(([name, part]) => [name, part.outerHTML]));
    this.#content?.replaceChildren(...[...page.querySelectorAll("main > .flash"), attempt].map(adopted));
    this.#content?.scrollTo({ top: 0 });
    this.#ready();
    return true;
  }

  #fail(href: string): void {
    const again = element("button", { type: "button", class: "button button-small" }, this.#texts.get("retry"));
    again.addEventListener("click", () => void this.#load(href));
    this.#content?.replaceChildren(element("p", { role: "alert" }, this.#texts.get("not-loaded"), " ", again));
  }

  /** Times in the person's zone, buttons that copy. */
  #ready(): void {
    for (const time of this.#content?.querySelectorAll("time:not([data-localized])") ?? []) {
      showTime(time as HTMLTimeElement, new Date((time as HTMLTimeElement).dateTime));
    }
    if (navigator.clipboard) {
      for (const button of this.#content?.querySelectorAll<HTMLElement>("[data-copy]") ?? []) {
        button.hidden = false;
      }
    }
  }

  async #copy(button: HTMLElement): Promise<void> {
    await navigator.clipboard.writeText(button.dataset.copy ?? "");
    const label = button.querySelector("span");
    const text = label?.textContent ?? "";
    if (label !== null && text !== button.dataset.copied) {
      label.textContent = button.dataset.copied ?? text;
      setTimeout(() => {
        label.textContent = text;
      }, 2_000);
    }
  }

  async #submit(event: SubmitEvent): Promise<void> {
    const form = event.target as HTMLFormElement;
    event.preventDefault();
    if (form.dataset.sent) {
      return;
    }
    form.dataset.sent = "yes";
    event.submitter?.setAttribute("aria-busy", "true");
    const fields = new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, `${value}`]));
    try {
      const response = await fetch(form.action, {
        method: "POST",
        body: fields,
        signal: this.#stops.signal,
        headers: { Accept: "text/html" },
      });
      if (this.#dialog?.open) {
        this.#show(await response.text(), response);
        this.#content?.querySelector<HTMLElement>("#attempt-title")?.focus({ preventScroll: true });
        this.#soon();
      }
    } catch {
      this.#fail(this.#href);
    }
  }

  /** Something became of an attempt: when it is of this message, its time line is to change. */
  #happened(event: CustomEvent): void {
    const { attempts } = event.detail as { attempts: readonly { message_id: string }[] };
    const message = this.#content?.querySelector<HTMLElement>("#attempt")?.dataset.message;
    if (message !== undefined && attempts.some((attempt) => attempt.message_id === message)) {
      this.#soon();
    }
  }

  #soon(): void {
    this.#forget();
    this.#refreshes = REFRESHES_MS.map((ms) => setTimeout(() => void this.#refresh(), ms));
  }

  /** Replaces the parts that have changed, unless somebody is in one. */
  async #refresh(): Promise<void> {
    const href = this.#href;
    if (href === "" || document.hidden) {
      return;
    }
    try {
      const response = await fetch(href, { signal: this.#stops.signal, headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const attempt = page.querySelector("#attempt");
      if (!response.ok || attempt === null || href !== this.#href) {
        return;
      }
      for (const [name, part] of parts(attempt)) {
        const shown = this.#content?.querySelector(`[data-live="${name}"]`);
        const html = part.outerHTML;
        const held = document.activeElement?.id !== "attempt-title" && shown?.contains(document.activeElement);
        if (shown && !held && this.#came.get(name) !== html) {
          this.#came.set(name, html);
          shown.replaceWith(adopted(part));
        }
      }
      this.#ready();
    } catch {
      // What is shown stays.
    }
  }
}

function parts(attempt: Element): [string, Element][] {
  return [...attempt.querySelectorAll<HTMLElement>("[data-live]")].map((part) => [part.dataset.live ?? "", part]);
}

function adopted(part: Element): Element {
  return document.adoptNode(part);
}

if (customElements.get("attempt-window") === undefined) {
  customElements.define("attempt-window", AttemptWindow);
}
