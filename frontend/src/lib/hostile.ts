/** Text that others wrote, made safe to look at, as the pages do on the server (`pages/hostile.py`). */

const LONGEST = 300;

/** How many characters of a body or a template are shown. */
export const LONGEST_BLOCK = 64 * 1024;

/** The marks and overrides of writing direction, zero-width and line separators, tags: what has no look of its own. */
export const MARKS =
  /[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/u;

// And controls, and lone surrogates.
const UNSEEN = new RegExp(`[\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\udfff]|${MARKS.source}`, "gu");

/** The text on one line; what is unseen is shown by its code, and what is too long is cut. */
export function plain(text: string, limit = LONGEST): string {
  const cut = text.length <= limit ? text : `${text.slice(0, limit)}…`;
  return cut.replace(UNSEEN, standIn);
}

/** The text with its lines, as long as it is. */
export function plainBlock(text: string): string {
  return text.replace(UNSEEN, (character) => ("\t\n".includes(character) ? character : standIn(character)));
}

function standIn(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) {
    return String.fromCodePoint(0x2400 + code);
  }
  return code === 0x7f ? "\u2421" : `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
}
