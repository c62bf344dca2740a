/**
 * What the server takes a while for comes after the page: each `[data-deferred]` gives way to the part of its name. Its
 * value says with which others it is asked for; one that says nothing stays until any of them bring it. Event `part`
 * (bubbles) on what came, for whatever else is done to a page.
 */
import { whenParsed } from "../lib/dom.ts";

const STILL_HERE_MS = 10_000;

async function ask(together: string): Promise<Document> {
  const response = await fetch(location.href, { headers: { Accept: "text/html", "X-Page-Part": together } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  if (!response.ok || page.querySelector("[data-part]") === null) {
    throw new Error(`${response.status}`);
  }
  return page;
}

async function fillFrom(together: string): Promise<void> {
  const page = await ask(together);
  for (const part of document.querySelectorAll<HTMLElement>("[data-deferred]")) {
    const came = page.querySelector(`[data-part="${part.dataset.part}"]`);
    if (came !== null) {
      const put = document.importNode(came, true);
      part.replaceWith(put);
      put.dispatchEvent(new Event("part", { bubbles: true }));
    } else if (part.dataset.deferred === together) {
      part.remove();
    }
  }
}

async function fill(): Promise<void> {
  const waiting = [...document.querySelectorAll<HTMLElement>("[data-deferred]")];
  const together = new Set(waiting.map((part) => part.dataset.deferred ?? "").filter((name) => name !== ""));
  let leaving = false;
  addEventListener("beforeunload", () => (leaving = true), { once: true });
  try {
    await Promise.all([...together].map(fillFrom));
    document.querySelector("[data-deferred]")?.remove();
  } catch {
    if (leaving) {
      // Whoever goes elsewhere ends what was on its way; who is still here only loaded a file down.
      await new Promise((later) => setTimeout(later, STILL_HERE_MS));
    }
    // The page itself says what is wrong.
    const whole = new URL(location.href);
    whole.searchParams.set("whole", "yes");
    location.replace(whole);
  }
}

whenParsed(() => void fill());
