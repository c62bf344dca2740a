/**
 * Every text that the islands show, in English, by the tag of its island.
 *
 * The build writes them to `texts.json`, so that the server knows what there is to translate. `{name}` is filled in.
 * Where a number decides the wording, the keys end in `-one` and `-other`, as `Intl.PluralRules` names the forms.
 */
export const TEXTS = {
  "copy-button": {
    copied: "Copied",
    failed: "Could not copy",
  },
  "unsaved-changes": {
    leave: "There are changes that you have not saved. Leave the page without them?",
  },
} as const;

export type Tag = keyof typeof TEXTS;
export type Key<T extends Tag> = keyof (typeof TEXTS)[T] & string;
