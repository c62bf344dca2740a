/** What the server takes a while for comes after the page: each `[data-deferred]` gives way to the part of its name. */
import { whenParsed } from "../lib/dom.ts";

const STILL_HERE_MS = 10_000;

async function fill(): Promise<void> {
  const waiting = [...document.querySelectorAll<HTMLElement>("[data-deferred]")];
  if (waiting.length === 0) {
    return;
  }
  let leaving = false;
  addEventListener("beforeunload", () => (leaving = true), { once: true });
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html", "X-Whole-Page": "yes" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!response.ok || page.querySelector("[data-part]") === null) {
      throw new Error(`${response.status}`);
    }
    for (const part of waiting) {
      const came = page.querySelector(`[data-part="${part.dataset.part}"]`);
      part.replaceWith(...(came === null ? [] : [document.importNode(came, true)]));
    }
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
