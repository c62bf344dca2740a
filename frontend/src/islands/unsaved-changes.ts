import { Texts } from "../lib/text.ts";

/**
 * Forms with `data-unsaved` ask before what was typed is lost: by a link, by closing the window, by going back.
 *
 * What counts is whether the form's fields differ from what they were when the page came. A form that came back from
 * the server with errors says `data-unsaved="changed"`: it differs from the start. Links with `data-discard` don't ask.
 */
const forms = new Map<HTMLFormElement, string | null>();
let sending = false;

function content(form: HTMLFormElement): string {
  return JSON.stringify(
    [...new FormData(form)].map(([name, value]) => [name, value instanceof File ? value.name : value]),
  );
}

function anyChanged(): boolean {
  return !sending && [...forms].some(([form, before]) => form.isConnected && content(form) !== before);
}

function begin(): void {
  for (const form of document.querySelectorAll<HTMLFormElement>("form[data-unsaved]")) {
    forms.set(form, form.dataset.unsaved === "changed" ? null : content(form));
  }
}

function links(event: MouseEvent): void {
  if (
    event.defaultPrevented ||
    event.button !== 0 ||
    event.ctrlKey ||
    event.metaKey ||
    event.shiftKey ||
    event.altKey
  ) {
    return;
  }
  const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
  if (!(link instanceof HTMLAnchorElement) || link.target === "_blank" || link.hasAttribute("download")) {
    return;
  }
  const here =
    link.origin === location.origin && link.pathname === location.pathname && link.search === location.search;
  if ((here && link.hash !== "") || !anyChanged()) {
    return;
  }
  if ("discard" in link.dataset || confirm(new Texts("unsaved-changes").get("leave"))) {
    sending = true;
  } else {
    event.preventDefault();
  }
}

document.addEventListener("click", links);
document.addEventListener("submit", (event) => {
  sending = !event.defaultPrevented;
});
// Another form of the page, such as the choice of a theme, leaves it too. Asked first, before anybody marks it as sent.
document.addEventListener(
  "submit",
  (event) => {
    const other = event.target instanceof HTMLFormElement && !forms.has(event.target);
    if (
      other &&
      event.target.method !== "dialog" &&
      anyChanged() &&
      !confirm(new Texts("unsaved-changes").get("leave"))
    ) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  },
  { capture: true },
);
window.addEventListener("beforeunload", (event) => {
  if (anyChanged()) {
    event.preventDefault();
  }
});
window.addEventListener("pageshow", () => {
  sending = false;
});
// Islands add fields of their own to forms; by then all of them have.
if (document.readyState === "complete") {
  begin();
} else {
  window.addEventListener("load", begin);
}
