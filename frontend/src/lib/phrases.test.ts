import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { PHRASES } from "./phrases.ts";

test("nothing that the editor's packages say is left in English", () => {
  const said = ["autocomplete", "commands", "language", "lint", "view"].flatMap((name) => {
    const file = new URL(`../../node_modules/@codemirror/${name}/dist/index.js`, import.meta.url);
    const calls = [...readFileSync(file, "utf8").matchAll(/\.phrase\(([^)]*)\)/g)];
    return calls.flatMap(([, call = ""]) => [...call.matchAll(/"([^"]+)"/g)].map(([, phrase = ""]) => phrase));
  });
  assert.deepEqual(Object.keys(PHRASES).sort(), [...new Set(said)].sort());
});
