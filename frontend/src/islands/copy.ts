import { Texts } from "../lib/text.ts";

const SHOWN_MS = 2_000;

/** `button[data-copy]` copies its `data-copy`, or, where that is empty, the text of the element named by `data-copy-from`. */
async function copy(button: HTMLButtonElement): Promise<void> {
  const texts = new Texts("copy-button", button);
  let said: string;
  try {
    await navigator.clipboard.writeText(wanted(button));
    said = texts.get("copied");
  } catch {
    said = texts.get("failed");
  }
  say(button, said);
}

function wanted(button: HTMLButtonElement): string {
  const given = button.dataset.copy;
  const source = button.dataset.copyFrom;
  if (given || source === undefined) {
    return given ?? "";
  }
  const element = document.querySelector(source);
  return element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement
    ? element.value
    : (element?.textContent ?? "");
}

function say(button: HTMLButtonElement, text: string): void {
  button.parentElement?.querySelector(":scope > .copy-said")?.remove();
  const said = document.createElement("span");
  said.className = "copy-said";
  said.setAttribute("role", "status");
  button.after(said);
  // A live region is read when its text changes, not when it comes with one.
  requestAnimationFrame(() => {
    said.textContent = text;
  });
  setTimeout(() => said.remove(), SHOWN_MS);
}

document.addEventListener("click", (event) => {
  const button =
    event.target instanceof Element ? event.target.closest("button[data-copy], button[data-copy-from]") : null;
  if (button instanceof HTMLButtonElement) {
    void copy(button);
  }
});
