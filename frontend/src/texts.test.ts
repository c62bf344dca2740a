import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { TEXTS } from "./texts.ts";

const sourcesIn = (folder: string): Map<string, string> => {
  const url = new URL(`${folder}/`, import.meta.url);
  const names = readdirSync(url).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  return new Map(names.map((name) => [name, readFileSync(new URL(name, url), "utf8")]));
};
const islands = sourcesIn("islands");
const shared = [...sourcesIn("lib").values()];

/** Whether a key stands in the source: as it is, as the forms of a number, or as `word-${…}`. */
const uses = (source: string, key: string): boolean => {
  const written = [key, key.replace(/-(one|other)$/, "")].some((one) => source.includes(`"${one}"`));
  return written || [...source.matchAll(/`([a-z-]+-)\$\{/g)].some(([, beginning = ""]) => key.startsWith(beginning));
};

for (const [tag, texts] of Object.entries(TEXTS)) {
  test(`every text of ${tag} is used`, () => {
    const own = [...islands.values()].filter((source) => source.includes(`Texts("${tag}"`));
    assert.notEqual(own.length, 0);
    const unused = Object.keys(texts).filter((key) => ![...own, ...shared].some((source) => uses(source, key)));
    assert.deepEqual(unused, []);
  });
}

test("forms of a number come together", () => {
  for (const texts of Object.values(TEXTS)) {
    const keys = Object.keys(texts);
    const forms = (ending: string): string[] =>
      keys.filter((key) => key.endsWith(ending)).map((key) => key.slice(0, -ending.length));
    assert.deepEqual(forms("-one"), forms("-other"));
  }
});
