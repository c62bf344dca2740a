// What every page gains with script: times in the person's zone, menus that close, dialogs, copying, filters.
// Nothing here is needed to use a page.

const language = document.documentElement.lang;
const short = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const toTheSecond = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
const exact = new Intl.DateTimeFormat(language, {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  fractionalSecondDigits: 3, timeZoneName: "long",
});

/** Shows the times under `root` in the person's zone, within `data-seconds` to the second; the exact ones on hover. */
export function localizeTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-localized])")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.textContent = (time.closest("[data-seconds]") ? toTheSecond : short).format(moment);
    time.title = `${exact.format(moment)}\n${time.dateTime}`;
    time.dataset.localized = "";
  }
}

/** Says something for a few seconds, to screen readers too. */
export function toast(text, kind = "success") {
  let region = document.querySelector(".toasts");
  if (!region) {
    region = document.createElement("div");
    region.className = "toasts";
    region.setAttribute("role", "status");
    document.body.append(region);
  }
  const shown = document.createElement("div");
  shown.className = `toast toast-${kind}`;
  shown.textContent = text;
  region.append(shown);
  setTimeout(() => shown.remove(), 6000);
}

/** The token that unsafe requests to the API repeat in the header X-CSRF-Token. */
export const csrfToken = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

localizeTimes();
document.addEventListener("part", (event) => localizeTimes(event.target));

// What somebody typed and could not save waits in this tab until they are back at its form, or have gone elsewhere.
if (!document.querySelector("[data-keeps-draft]")) sessionStorage.removeItem("draft");

const menus = [...document.querySelectorAll("[data-menu]")];
document.addEventListener("click", (event) => {
  for (const menu of menus) if (menu.open && !menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus) {
    if (!menu.open) continue;
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// A link that asks by another page does so in a dialog of this one.
for (const opener of document.querySelectorAll("[data-dialog]")) {
  const dialog = document.getElementById(opener.dataset.dialog);
  opener.addEventListener("click", (event) => {
    if (!dialog || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    dialog.showModal();
  });
}
for (const dialog of document.querySelectorAll("dialog")) {
  if (dialog.open) {
    dialog.close();
    dialog.showModal();
  }
  // Whoever selects text may let go of it outside.
  let pressed = null;
  dialog.addEventListener("pointerdown", (event) => (pressed = event.target));
  dialog.addEventListener("click", (event) => {
    const closer = event.target.closest("[data-close]");
    if (closer || (event.target === dialog && pressed === dialog)) {
      event.preventDefault();
      dialog.close();
    }
  });
}

// On a narrow screen, the filter or the tab that is shown is not out of its bar.
for (const current of document.querySelectorAll(".segments [aria-current], .tabs [aria-current]")) {
  const bar = current.parentElement;
  bar.scrollLeft = current.offsetLeft - bar.offsetLeft - (bar.clientWidth - current.offsetWidth) / 2;
}

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  const label = button.querySelector("span");
  const text = label.textContent;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    label.textContent = button.dataset.copied;
    setTimeout(() => (label.textContent = text), 2000);
  });
}

// Without regard to case and accents, as the server searches. Small letters have forms of which there is one capital: ς, ß.
const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toUpperCase();

for (const field of document.querySelectorAll("[data-filters]")) {
  const list = document.getElementById(field.dataset.filters);
  const nothing = document.createElement("p");
  nothing.className = "muted nothing-found";
  nothing.setAttribute("role", "status");
  list.after(nothing);
  field.addEventListener("input", () => {
    const wanted = folded(field.value.trim());
    const items = [...list.children];
    // A name stands first, before the link to what has it.
    for (const item of items) item.hidden = !folded(item.firstElementChild.textContent).includes(wanted);
    const said = items.every((item) => item.hidden) ? field.dataset.nothing : "";
    if (nothing.textContent !== said) nothing.textContent = said;
  });
}

let pointing = false;
addEventListener("pointerdown", () => (pointing = true), { capture: true });
addEventListener("keydown", () => (pointing = false), { capture: true });
const focusedBefore = sessionStorage.getItem("focus");
sessionStorage.removeItem("focus");

// What is chosen from a list applies at once. What is typed, or changed in a closed list by keys, which go through all that
// lies between, applies with Enter and when the focus leaves. Without script, the form's button does it.
for (const form of document.querySelectorAll("[data-submits]")) {
  const fieldsOf = (one) => `${new URLSearchParams(new FormData(one))}`;
  const chosen = () => fieldsOf(form);
  // Somebody may have chosen before this ran.
  const made = form.cloneNode(true);
  made.reset();
  let applied = fieldsOf(made);
  let stepping = false;
  const apply = (focused = document.activeElement) => {
    if (chosen() === applied) return;
    form.requestSubmit();
    sessionStorage.setItem("focus", focused.id);
  };
  form.addEventListener("submit", () => {
    applied = chosen();
    sessionStorage.setItem("focus", document.activeElement.id);
  });
  form.addEventListener("keydown", (event) => {
    if (!event.target.matches("select")) return;
    if (event.key === "Enter" && chosen() !== applied) {
      event.preventDefault();
      apply();
    }
    // These open the list, and keys are the list's then.
    stepping = !event.altKey && !["Enter", " ", "F4"].includes(event.key);
  });
  for (const event of ["keyup", "pointerdown", "focusout"]) form.addEventListener(event, () => (stepping = false));
  form.addEventListener("change", (event) => {
    if (event.target.matches("select") && !stepping) apply();
  });
  form.addEventListener("search", () => pointing && apply());
  form.addEventListener("focusout", ({ target, relatedTarget }) => {
    // In a window that somebody leaves, the focus stays.
    if (document.activeElement === target) return;
    if (!pointing) {
      apply(form.contains(relatedTarget) && relatedTarget.id ? relatedTarget : target);
      return;
    }
    // Whoever clicks on something gets that, and goes on in the form if it is there.
    const clicked = (click) => click.target.closest("a, button, summary") || form.contains(click.target) || apply();
    addEventListener("click", clicked, { once: true });
  });
  addEventListener("pageshow", ({ persisted }) => {
    if (!persisted) return;
    form.reset();
    applied = chosen();
  });
  const focused = focusedBefore && form.elements.namedItem(focusedBefore);
  if (focused) {
    focused.focus();
    focused.setSelectionRange?.(focused.value.length, focused.value.length);
  }
  for (const button of form.querySelectorAll("[data-scriptless]")) button.hidden = chosen() === applied;
}

// A form is sent once, however often its button is pressed; what takes a while says so.
document.addEventListener("submit", (event) => {
  const form = event.target;
  // Not `form.method`, which a field of that name would stand in for.
  if (event.defaultPrevented || form.getAttribute("method") !== "post") return;
  if (form.dataset.sent) {
    event.preventDefault();
  } else {
    form.dataset.sent = "yes";
    event.submitter?.setAttribute("aria-busy", "true");
  }
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const busy of form.querySelectorAll("[aria-busy]")) busy.removeAttribute("aria-busy");
  }
});
