import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { plain, plainBlock } from "./hostile.ts";

// What the pages show: tests/unit/portal/test_frontend_vectors.py holds the file to them.
const vectors = JSON.parse(readFileSync(new URL("hostile.vectors.json", import.meta.url), "utf8"));

test("what is unseen is shown by its code", () => {
  assert.equal(plain("a\u202egnp.exe\u0000\t\u007f\u200b\ud800"), "a[U+202E]gnp.exe␀␉␡[U+200B][U+D800]");
  assert.equal(plain("\u{e0041}"), "[U+E0041]");
});

test("what can be seen stays, also beyond the first plane", () => {
  assert.equal(plain("ä 漢字 😀 <b>"), "ä 漢字 😀 <b>");
});

test("what is too long is cut; a block keeps its lines", () => {
  assert.equal(plain("x".repeat(400)).length, 301);
  assert.equal(plainBlock("a\n\tb\u202e"), "a\n\tb[U+202E]");
});

for (const { title, text, shown } of vectors) {
  test(`joiners: ${title}`, () => {
    assert.equal(plain(text), shown);
    assert.equal(plainBlock(text), shown);
  });
}

test("a text is not cut behind a joiner", () => {
  assert.equal(plain("\u{1f469}\u200d\u{1f4bb}", 3), "\u{1f469}…");
});
