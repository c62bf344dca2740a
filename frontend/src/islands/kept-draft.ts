/**
 * A form with `data-keeps-draft="WHOSE"` does not lose what was typed when its answer is no answer to it: the session had
 * ended, or the server was away. What is sent is kept in this tab; when the same person opens the same form again, it is
 * sent there with `do=restore`, and comes back in the form. `portal.js` drops it on every page that says nothing of drafts.
 */
const KEY = "draft";
const NOT_KEPT = new Set(["csrf", "do"]);

interface Draft {
  readonly whose: string;
  readonly path: string;
  readonly fields: readonly (readonly [string, string])[];
}

function kept(): Draft | undefined {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}

function keep(form: HTMLFormElement): void {
  const fields = [...new FormData(form)]
    .filter(([name]) => !NOT_KEPT.has(name))
    .map(([name, value]) => [name, `${value}`]);
  const path = new URL(form.action).pathname;
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ whose: form.dataset.keepsDraft, path, fields }));
  } catch {
    // There is no room for it, or this browser keeps nothing.
  }
}

function restore(form: HTMLFormElement, draft: Draft): void {
  const again = document.createElement("form");
  again.method = "post";
  again.action = form.action;
  again.hidden = true;
  const csrf = new FormData(form).get("csrf");
  for (const [name, value] of [...draft.fields, ["csrf", `${csrf}`], ["do", "restore"]] as const) {
    // Lines stay lines, which they do not in an input.
    const field = document.createElement("textarea");
    field.name = name;
    field.value = value;
    again.append(field);
  }
  document.body.append(again);
  again.submit();
}

for (const form of document.querySelectorAll<HTMLFormElement>("form[data-keeps-draft]")) {
  const draft = kept();
  sessionStorage.removeItem(KEY);
  if (
    draft?.whose === form.dataset.keepsDraft &&
    draft?.path === location.pathname &&
    form.dataset.unsaved !== "changed"
  ) {
    restore(form, draft);
  }
  form.addEventListener("submit", (event) => {
    if (!event.defaultPrevented) {
      keep(form);
    }
  });
}
