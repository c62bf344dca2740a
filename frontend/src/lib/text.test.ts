import assert from "node:assert/strict";
import { test } from "node:test";
import { filled, Texts } from "./text.ts";

test("names in a text are filled in, once, and those without a value stay", () => {
  assert.equal(filled("{a} of {b}, {c}", { a: "{b}", b: 2 }), "{b} of 2, {c}");
});

test("without a catalogue texts are English", () => {
  assert.equal(new Texts("template-preview").get("size", { size: 3 }), "3 bytes.");
});
