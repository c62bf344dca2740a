/** Text that others wrote, made safe to look at, as the pages do on the server (`pages/hostile.py`). */

const LONGEST = 300;

/** How many characters of a body or a template are shown. */
export const LONGEST_BLOCK = 64 * 1024;

// Letters and their marks of Arabic, Syriac and the scripts of India, in which a joiner decides how they are written,
// and the signs that take a letter's vowel, which a joiner may follow at the end of a word.
const LETTERS =
  "\\u0620-\\u065f\\u066e-\\u06d3\\u06d5-\\u06dc\\u06df-\\u06e8\\u06ea-\\u06ef\\u06fa-\\u06fc\\u06ff\\u0710-\\u077f" +
  "\\u0860-\\u0887\\u0889-\\u088f\\u0892-\\u08e1\\u08e3-\\u0963\\u0971-\\u09e5\\u09f0\\u09f1\\u09fc\\u09fe-\\u0a65" +
  "\\u0a70-\\u0a75\\u0a77-\\u0ae5\\u0af9-\\u0b65\\u0b71\\u0b82-\\u0be5\\u0c00-\\u0c65\\u0c80-\\u0c83\\u0c85-\\u0ce5" +
  "\\u0cf1-\\u0d4e\\u0d54-\\u0d57\\u0d5f-\\u0d65\\u0d7a-\\u0de5\\u0df2\\u0df3";
const VOWELLESS = "\\u094d\\u09cd\\u0a4d\\u0acd\\u0b4d\\u0bcd\\u0c4d\\u0ccd\\u0d4d\\u0dca";
// Pictographs by their blocks, of which each version of Unicode calls others so; what may follow one before a joiner.
const PICTOGRAPHS =
  "\\u2194-\\u21aa\\u231a-\\u23ff\\u25aa-\\u27bf\\u2934\\u2935\\u2b05-\\u2b55\\u{1f000}-\\u{1f3fa}\\u{1f400}-\\u{1faff}";
const VARIATIONS = "\\ufe0e\\ufe0f\\u{1f3fb}-\\u{1f3ff}";
// Behind a joiner: it does what it is for, and has a look of its own.
const JOINS = [
  `(?<=[${LETTERS}][\\u200c\\u200d])[${LETTERS}]`,
  `(?<=[${LETTERS}][${VOWELLESS}]\\u200d)`,
  `(?<=[${PICTOGRAPHS}][${VARIATIONS}]{0,2}\\u200d)[${PICTOGRAPHS}]`,
].join("|");

/** The marks and overrides of writing direction, zero-width and line separators, tags: what has no look of its own. */
export const MARKS = new RegExp(
  `[\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb\\u{e0000}-\\u{e007f}](?!${JOINS})`,
  "u",
);

// And controls, and lone surrogates.
const UNSEEN = new RegExp(`[\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\udfff]|${MARKS.source}`, "gu");

/** The text on one line; what is unseen is shown by its code, and what is too long is cut. */
export function plain(text: string, limit = LONGEST): string {
  const cut = text.length <= limit ? text : `${text.slice(0, limit).replace(/[\u200c\u200d]+$/, "")}…`;
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
