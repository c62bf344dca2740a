import type { Key } from "../texts.ts";

/** What CodeMirror says by itself, in titles and to screen readers, by the key of our text for it. */
export const PHRASES: Readonly<Record<string, Key<"json-editor">>> = {
  "Fold line": "fold-line",
  "Unfold line": "unfold-line",
  "Folded lines": "folded-lines",
  "Unfolded lines": "unfolded-lines",
  to: "to-line",
  "folded code": "folded",
  unfold: "unfold",
  "Selection deleted": "selection-deleted",
  Completions: "completions",
  Diagnostics: "diagnostics",
  "No diagnostics": "no-diagnostics",
  close: "close",
  "Control character": "unseen",
};
