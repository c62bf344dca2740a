/**
 * What the server takes a while for comes after the page: each `[data-deferred]` gives way to the part of its name. Its
 * value says with which others it is asked for; one that says nothing stays until any of them bring it. Event `part`
 * (bubbles) on what came, for whatever else is done to a page.
 *
 * What does not come is asked for again after a pause. If that is in vain, what stands in `template[data-not-loaded]` is
 * shown after it; its `button[data-again]` asks once more.
 */
import { takeFocus, whenParsed } from "../lib/dom.ts";

const STILL_HERE_MS = 10_000;
const PAUSES_MS = [1_000, 3_000];
const LONGEST_PAUSE_MS = 15_000;
/** Whoever asks again is answered the same, and the page itself says what is wrong. */
const REFUSALS = [401, 403, 404];

type Outcome = "came" | "missing" | "refused";

/** The page's own address: that of an attempt's window may stand in its place later. */
const HERE = location.href;

let leaving = false;
let notice: HTMLElement | undefined;

/** The parts; or after how many milliseconds the server may be asked again. */
async function ask(together: string): Promise<Document | "refused" | number> {
  try {
    const response = await fetch(HERE, { headers: { Accept: "text/html", "X-Page-Part": together } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (response.ok && page.querySelector("[data-part]") !== null) {
      return page;
    }
    return response.redirected || REFUSALS.includes(response.status) ? "refused" : retryAfter(response);
  } catch {
    return 0;
  }
}

function retryAfter(response: Response): number {
  const said = response.headers.get("Retry-After") ?? "";
  return Number(said) * 1_000 || Date.parse(said) - Date.now() || 0;
}

async function fillFrom(together: string): Promise<Outcome> {
  for (const pause of [...PAUSES_MS, Number.POSITIVE_INFINITY]) {
    const answer = await ask(together);
    if (answer === "refused") {
      return answer;
    }
    if (answer instanceof Document) {
      put(answer, together);
      return "came";
    }
    const wait = Math.max(answer, pause * (0.75 + Math.random() / 2));
    if (wait > LONGEST_PAUSE_MS) {
      break;
    }
    await passes(wait);
  }
  return "missing";
}

function put(page: Document, together: string): void {
  for (const part of document.querySelectorAll<HTMLElement>("[data-deferred]")) {
    const came = page.querySelector(`[data-part="${part.dataset.part}"]`);
    if (came !== null) {
      const shown = document.importNode(came, true);
      part.replaceWith(shown);
      shown.dispatchEvent(new Event("part", { bubbles: true }));
    } else if (part.dataset.deferred === together) {
      part.remove();
    }
  }
}

async function fill(): Promise<void> {
  const waiting = [...document.querySelectorAll<HTMLElement>("[data-deferred]")];
  const together = new Set(waiting.map((part) => part.dataset.deferred ?? "").filter((name) => name !== ""));
  const outcomes = await Promise.all([...together].map(fillFrom));
  if (outcomes.every((outcome) => outcome === "came")) {
    document.querySelector("[data-deferred]")?.remove();
    show(undefined, document.querySelector("main"));
    return;
  }
  if (leaving) {
    // Whoever goes elsewhere ends what was on its way; who is still here only loaded a file down.
    await passes(STILL_HERE_MS);
  }
  if (outcomes.includes("refused")) {
    const whole = new URL(HERE);
    whole.searchParams.set("whole", "yes");
    location.replace(whole);
  } else {
    tell();
  }
}

/** Says that something is missing. It is a new notice each time, which is said each time. */
function tell(): void {
  const template = document.querySelector<HTMLTemplateElement>("template[data-not-loaded]");
  const made = template?.content.firstElementChild?.cloneNode(true);
  if (!(made instanceof HTMLElement)) {
    return;
  }
  const again = made.querySelector<HTMLElement>("[data-again]");
  again?.addEventListener("click", () => {
    if (again.getAttribute("aria-busy") !== "true") {
      again.setAttribute("aria-busy", "true");
      wait(true);
      void fill();
    }
  });
  wait(false);
  template?.after(made);
  show(made, again);
}

/** Takes the notice before away; whoever was in it is at `next` then. */
function show(now: HTMLElement | undefined, next: HTMLElement | null): void {
  const held = notice?.contains(document.activeElement);
  notice?.remove();
  notice = now;
  if (held && next !== null) {
    takeFocus(next);
  }
}

function wait(busy: boolean): void {
  for (const part of document.querySelectorAll("[data-deferred]")) {
    part.setAttribute("aria-busy", `${busy}`);
  }
}

const passes = (ms: number): Promise<void> => new Promise((then) => setTimeout(then, ms));

addEventListener("beforeunload", () => {
  leaving = true;
});
whenParsed(() => void fill());
