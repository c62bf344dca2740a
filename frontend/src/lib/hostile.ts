/** Text that others wrote, made safe to look at, as the pages do on the server (`pages/hostile.py`). */

const LONGEST = 300;

// Controls, the marks and overrides of writing direction, zero-width and line separators, lone surrogates, tags.
const UNSEEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\u{e0000}-\u{e007f}]/gu;

/** The text on one line; what is unseen is shown by its code, and what is too long is cut. */
export function plain(text: string, limit = LONGEST): string {
  const cut = text.length <= limit ? text : `${text.slice(0, limit)}…`;
  return cut.replace(UNSEEN, standIn);
}

/** The text with its lines, in full. */
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
