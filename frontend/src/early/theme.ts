/**
 * Light or dark: what the person chose, before anything is painted; without a choice, what their system says.
 *
 * A choice is kept in this browser and stands in `data-theme` at the root element. Elements with `data-theme-choice`
 * ("light", "dark" or "system") choose: buttons at a click, and a select by its value.
 */
const STORED = "theme";
const CHOICES = ["light", "dark"];
const root = document.documentElement;

function stored(): string | null {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

function apply(choice: string | null): void {
  if (choice !== null && CHOICES.includes(choice)) {
    root.dataset.theme = choice;
  } else {
    delete root.dataset.theme;
  }
  const current = root.dataset.theme ?? "system";
  for (const element of document.querySelectorAll<HTMLElement>("[data-theme-choice]")) {
    if (element instanceof HTMLSelectElement) {
      element.value = current;
    } else {
      element.setAttribute("aria-pressed", `${element.dataset.themeChoice === current}`);
    }
  }
}

function choose(choice: string): void {
  try {
    localStorage.setItem(STORED, choice);
  } catch {
    // It holds for this page only where nothing may be stored.
  }
  apply(choice);
}

apply(stored());
document.addEventListener("DOMContentLoaded", () => apply(root.dataset.theme ?? null));
window.addEventListener("storage", (event) => event.key === STORED && apply(event.newValue));
document.addEventListener("click", (event) => {
  const button =
    event.target instanceof Element ? event.target.closest<HTMLElement>("button[data-theme-choice]") : null;
  if (button !== null) {
    choose(button.dataset.themeChoice ?? "system");
  }
});
document.addEventListener("change", (event) => {
  if (event.target instanceof HTMLSelectElement && "themeChoice" in event.target.dataset) {
    choose(event.target.value);
  }
});
