/** `<json-editor>`: makes the textarea inside it an editor for a payload template. */
import {
  autocompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import {
  bracketMatching,
  codeFolding,
  foldGutter,
  foldKeymap,
  HighlightStyle,
  indentOnInput,
  indentUnit,
  syntaxHighlighting,
  syntaxTree,
} from "@codemirror/language";
import { type Diagnostic, forceLinting, linter, lintGutter, lintKeymap } from "@codemirror/lint";
import { Compartment, EditorState, type Extension, StateEffect } from "@codemirror/state";
import {
  Decoration,
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
  MatchDecorator,
  ViewPlugin,
  type ViewUpdate,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { type Checked, check, type Problem, unknownWords } from "../lib/check.ts";
import { element, idOf, jsonAttribute, whenParsed } from "../lib/dom.ts";
import { MARKS } from "../lib/hostile.ts";
import { numbers } from "../lib/language.ts";
import { PHRASES } from "../lib/phrases.ts";
import { formatted } from "../lib/template.ts";
import { Texts } from "../lib/text.ts";
import { nearest, type Variable, variableAt } from "../lib/variables.ts";

const LINT_AFTER_MS = 250;

const COLOURS = HighlightStyle.define([
  { tag: tags.propertyName, class: "je-key" },
  { tag: tags.string, class: "je-string" },
  { tag: [tags.number, tags.bool, tags.null], class: "je-value" },
  { tag: [tags.separator, tags.squareBracket, tags.brace], class: "je-punctuation" },
]);

class JsonEditor extends HTMLElement {
  static readonly observedAttributes = ["data-variables"];

  #view: EditorView | undefined;
  #area: HTMLTextAreaElement | undefined;
  #message: HTMLElement | undefined;
  #variables: readonly Variable[] = [];
  readonly #highlighting = new Compartment();
  readonly #texts = new Texts("json-editor", this);

  connectedCallback(): void {
    whenParsed(() => this.#begin());
  }

  attributeChangedCallback(): void {
    this.variables = jsonAttribute<Variable[]>(this, "data-variables", []);
  }

  /** The text in the editor. */
  get value(): string {
    return this.#view?.state.doc.toString() ?? this.#area?.value ?? "";
  }

  set value(text: string) {
    this.#view?.dispatch({
      changes: { from: 0, to: this.#view.state.doc.length, insert: text },
      selection: { anchor: 0 },
      scrollIntoView: true,
    });
    if (this.#view !== undefined) {
      forceLinting(this.#view);
    }
  }

  /** The variables that are completed and known; replace them when the event type changes. */
  get variables(): readonly Variable[] {
    return this.#variables;
  }

  set variables(variables: readonly Variable[]) {
    this.#variables = variables;
    if (this.#view !== undefined) {
      this.#view.dispatch({
        effects: [this.#highlighting.reconfigure(this.#variableMarks()), variablesChanged.of(null)],
      });
      forceLinting(this.#view);
    }
  }

  /** Whether the text is a template that can be saved. */
  get valid(): boolean {
    return "tokens" in check(this.value);
  }

  /** Lays the text out over lines; text with a mistake stays as it is and the mistake is shown. */
  format(): void {
    const view = this.#view;
    const checked = check(this.value);
    if (view === undefined) {
      return;
    }
    if ("problem" in checked) {
      view.dispatch({ selection: { anchor: checked.problem.start }, scrollIntoView: true });
      forceLinting(view);
    } else {
      const text = formatted(this.value);
      if (text !== this.value) {
        this.value = text;
      }
    }
    view.focus();
  }

  /**
   * Puts a variable where the cursor is: inside quotes as it stands, where a value is expected in quotes of its own,
   * anywhere else as a new member at the end of the object.
   */
  insertVariable(name: string): void {
    const view = this.#view;
    if (view === undefined) {
      return;
    }
    const source = view.state.doc.toString();
    const { from, to } = view.state.selection.main;
    const { at, end, text } = variableAt(source, from, to, name, insideString(view.state, from));
    view.dispatch({
      changes: { from: at, to: end, insert: text },
      selection: { anchor: at + text.length },
      scrollIntoView: true,
      userEvent: "input.variable",
    });
    view.focus();
  }

  override focus(options?: FocusOptions): void {
    if (this.#view !== undefined) {
      this.#view.focus();
    } else {
      super.focus(options);
    }
  }

  #begin(): void {
    const area = this.querySelector("textarea");
    if (area === null || this.#view !== undefined) {
      return;
    }
    this.#area = area;
    this.#variables = jsonAttribute<Variable[]>(this, "data-variables", []);
    const message = element("p", { class: "je-message", id: `${idOf(area)}-json-message`, role: "status" });
    const hint = element("p", { class: "je-hint", id: `${area.id}-json-keys` }, this.#texts.get("keys"));
    const format = element("button", { type: "button", class: "button button-small" }, this.#texts.get("format"));
    format.addEventListener("click", () => this.format());
    const parent = element("div", { class: "je-view" });
    this.#message = message;
    const extensions = this.#extensions(area, [
      message.id,
      hint.id,
      ...(area.getAttribute("aria-describedby")?.split(" ") ?? []),
    ]);
    area.hidden = true;
    // A browser does not send a form whose required field it cannot show.
    area.required = false;
    area.after(element("div", { class: "je-bar" }, message, format), hint);
    area.after(parent);
    const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content;
    this.#view = new EditorView({
      parent,
      state: EditorState.create({
        doc: area.value,
        extensions: [...(nonce ? [EditorView.cspNonce.of(nonce)] : []), ...extensions],
      }),
    });
    for (const label of area.labels ?? []) {
      // A label focuses its field, and this one is hidden now.
      label.addEventListener("click", () => this.#view?.focus());
    }
    area.form?.addEventListener("reset", () => setTimeout(() => (this.value = area.value)));
    measureUnseen(this.#view);
    this.#say(check(area.value));
    this.dataset.ready = "";
  }

  #extensions(area: HTMLTextAreaElement, describedBy: readonly string[]): Extension[] {
    const labels = [...(area.labels ?? [])].map(idOf).join(" ");
    return [
      EditorState.phrases.of(
        Object.fromEntries(Object.entries(PHRASES).map(([phrase, key]) => [phrase, this.#texts.get(key)])),
      ),
      lineNumbers(),
      lintGutter(),
      foldGutter(),
      codeFolding(),
      highlightActiveLineGutter(),
      highlightActiveLine(),
      highlightSpecialChars({
        addSpecialChars: MARKS,
        render: (code, _, shown) => unseen(this.#texts.get("unseen"), code, shown),
      }),
      history(),
      drawSelection(),
      indentOnInput(),
      indentUnit.of("  "),
      bracketMatching(),
      closeBrackets(),
      json(),
      syntaxHighlighting(COLOURS),
      this.#highlighting.of(this.#variableMarks()),
      autocompletion({ override: [(context) => this.#completions(context)], icons: false }),
      linter((view) => this.#diagnostics(view), {
        delay: LINT_AFTER_MS,
        needsRefresh: (update) =>
          update.transactions.some((one) => one.effects.some((each) => each.is(variablesChanged))),
      }),
      typedOver,
      EditorView.lineWrapping,
      EditorView.scrollMargins.of((view) => ({ bottom: covered(view) })),
      EditorState.readOnly.of(area.readOnly || area.disabled),
      EditorView.contentAttributes.of({
        ...(labels === ""
          ? { "aria-label": area.getAttribute("aria-label") ?? this.#texts.get("label") }
          : { "aria-labelledby": labels }),
        "aria-describedby": describedBy.join(" "),
        ...(area.required ? { "aria-required": "true" } : {}),
        // Editable content has the focus anyway; with it, tools that look for what can have it see that too.
        tabindex: "0",
        spellcheck: "false",
        translate: "no",
      }),
      EditorView.updateListener.of((update) => this.#updated(update)),
      keymap.of([
        ...closeBracketsKeymap,
        ...completionKeymap,
        ...lintKeymap,
        ...foldKeymap,
        ...historyKeymap,
        ...defaultKeymap,
        indentWithTab,
      ]),
    ];
  }

  #updated(update: ViewUpdate): void {
    if (!update.docChanged || this.#area === undefined) {
      return;
    }
    this.#area.value = update.state.doc.toString();
    this.#area.dispatchEvent(new Event("input", { bubbles: true }));
    const checked = check(this.#area.value);
    this.dispatchEvent(
      new CustomEvent("change", { bubbles: true, detail: { value: this.#area.value, valid: "tokens" in checked } }),
    );
  }

  #completions(context: CompletionContext): CompletionResult | null {
    const word = context.matchBefore(/#[A-Za-z0-9_]*/);
    const inside = syntaxTree(context.state).resolveInner(context.pos, -1).name;
    if (word === null || !["String", "PropertyName", "⚠"].includes(inside)) {
      return null;
    }
    const options = this.#variables.map(({ name, caption }): Completion => ({ label: `#${name}`, detail: caption }));
    return { from: word.from, options, validFor: /^#[A-Za-z0-9_]*$/ };
  }

  #diagnostics(view: EditorView): Diagnostic[] {
    const source = view.state.doc.toString();
    const checked = check(source);
    this.#say(checked);
    if ("problem" in checked) {
      const { start, end } = checked.problem;
      const to = Math.min(Math.max(end, start + 1), source.length);
      return [{ from: Math.min(start, to), to, severity: "error", message: this.#sentence(checked.problem) }];
    }
    return this.#unknown(source, checked).map(({ name, start, end }) => {
      const meant = nearest(name, this.#variables);
      return {
        from: start,
        to: end,
        severity: "info",
        message: this.#texts.get("unknown", { name }),
        renderMessage: () => beside(this.#texts.get("unknown", { name })),
        actions: meant
          ? [
              {
                name: this.#texts.get("use-instead", { name: meant.name }),
                apply: (editor, from, to) => editor.dispatch({ changes: { from, to, insert: `#${meant.name}` } }),
              },
            ]
          : [],
      };
    });
  }

  #unknown(source: string, checked: Checked): { name: string; start: number; end: number }[] {
    const known = new Set(this.#variables.map((variable) => variable.name));
    return "tokens" in checked && known.size > 0 ? unknownWords(source, checked.tokens, known) : [];
  }

  #say(checked: Checked): void {
    if (this.#message === undefined) {
      return;
    }
    const source = this.value;
    const unknown = this.#unknown(source, checked).length;
    let text: string;
    let kind: "bad" | "hint" | "good";
    if ("problem" in checked) {
      const before = source.slice(0, checked.problem.start);
      const number = numbers();
      kind = "bad";
      text = this.#texts.get("at", {
        line: number.format(before.split("\n").length),
        column: number.format(before.length - before.lastIndexOf("\n")),
        problem: this.#sentence(checked.problem),
      });
    } else if (unknown > 0) {
      kind = "hint";
      text = this.#texts.count("unknown-count", unknown);
    } else {
      kind = "good";
      text = this.#texts.get("valid");
    }
    if (this.#message.textContent !== text) {
      const height = this.#message.offsetHeight;
      this.#message.textContent = text;
      if (this.#message.offsetHeight > height && this.#view?.hasFocus) {
        // What is said may have grown over the line that somebody is writing.
        this.#view.dispatch({ effects: EditorView.scrollIntoView(this.#view.state.selection.main.head) });
      }
    }
    this.#message.dataset.kind = kind;
    this.#view?.contentDOM.setAttribute("aria-invalid", `${kind === "bad"}`);
  }

  #sentence(problem: Problem): string {
    return this.#texts.get(problem.what, { found: problem.found });
  }

  /** Marks the variables that will be replaced. */
  #variableMarks(): Extension {
    const known = new Set(this.#variables.map((variable) => variable.name));
    const decorator = new MatchDecorator({
      regexp: /#([A-Za-z0-9_]+)/g,
      decoration: (match) => (known.has(match[1] ?? "") ? Decoration.mark({ class: "je-variable" }) : null),
    });
    return ViewPlugin.define(
      (view) => ({
        marks: decorator.createDeco(view),
        update(update: ViewUpdate) {
          this.marks = decorator.updateDeco(update, this.marks);
        },
      }),
      { decorations: (plugin) => plugin.marks },
    );
  }
}

/** What stands for a character that has no look of its own; by its code, as the pages do. */
function unseen(text: string, code: number, shown: string): HTMLElement {
  const title = `${text} U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  return element("span", { class: "cm-specialChar", title, "aria-label": title }, shown);
}

/** A message beside a button that CodeMirror names in English, for which what is written on it will do. */
function beside(text: string): HTMLElement {
  const shown = element("span", {}, text);
  queueMicrotask(() => {
    for (const button of shown.closest(".cm-diagnostic")?.querySelectorAll("button") ?? []) {
      button.removeAttribute("aria-label");
    }
  });
  return shown;
}

function insideString(state: EditorState, at: number): boolean {
  const node = syntaxTree(state).resolveInner(at, -1);
  return ["String", "PropertyName"].includes(node.name) && node.from < at && at < node.to;
}

/** How many pixels of the editor are under what the page keeps at the window's lower edge; the cursor is not to be there. */
function covered(view: EditorView): number {
  const bar = view.dom.closest("json-editor")?.querySelector<HTMLElement>(".je-bar");
  const reserved = Number.parseFloat(getComputedStyle(document.documentElement).scrollPaddingBottom) || 0;
  const most = reserved + (bar?.offsetHeight ?? 0);
  const below = view.dom.getBoundingClientRect().bottom - (window.innerHeight - most);
  return Math.min(Math.max(below, 0), most);
}

/**
 * Has an editor below the window's edge measure its lines now: CodeMirror waits until it is seen, and line numbers would
 * stand beside the wrong lines for some frames.
 */
function measureUnseen(view: EditorView): void {
  view.dom.style.transform = `translateY(${-view.dom.getBoundingClientRect().top}px)`;
  view.requestMeasure();
  view.coordsAtPos(0);
  view.dom.style.transform = "";
}

/**
 * Puts what is typed in the place of a selection. Chromium's own editing would keep the look of what was there in a `style`
 * attribute, which the page's policy refuses and the console reports.
 */
const typedOver = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { inputType, data: text, cancelable } = event;
    const { from, to, empty } = view.state.selection.main;
    // Chrome on Android inserts the text even if the event is cancelled.
    const ours =
      inputType === "insertText" && cancelable && !view.composing && !/\bAndroid\b/.test(navigator.userAgent);
    if (!ours || !text || empty || view.state.readOnly) {
      return false;
    }
    const insert = () =>
      view.state.update(view.state.replaceSelection(text), { userEvent: "input.type", scrollIntoView: true });
    const handlers = view.state.facet(EditorView.inputHandler);
    if (!handlers.some((handle) => handle(view, from, to, text, insert))) {
      view.dispatch(insert());
    }
    return true;
  },
});

const variablesChanged = StateEffect.define<null>();

if (customElements.get("json-editor") === undefined) {
  customElements.define("json-editor", JsonEditor);
}

export type { JsonEditor };
