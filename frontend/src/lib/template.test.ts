import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { NotJson, readJson } from "./json.ts";
import { beginning, formatted, layout, render, textsOfValues } from "./template.ts";

// The server's own renderings: tests/unit/portal/test_frontend_vectors.py holds the file to them.
const vectors = JSON.parse(readFileSync(new URL("template.vectors.json", import.meta.url), "utf8"));
const variables = new Set<string>(vectors.variables);
const values = textsOfValues(vectors.values);

for (const { title, template, rendered } of vectors.templates) {
  test(`rendered as on the server: ${title}`, () => {
    assert.equal(render(readJson(template), variables, values), rendered);
  });

  test(`laid out, it is the same message: ${title}`, () => {
    const laidOut = layout(readJson(template), variables, values)
      .map((piece) => piece.text)
      .join("");
    const compact = readJson(laidOut)
      .map((token) => token.text)
      .join("");
    assert.equal(compact, rendered);
  });
}

test("a beginning ends within a piece, with whole characters", () => {
  const pieces = layout(readJson('{"a": "\u{1f600}b"}'), new Set(), new Map());
  const whole = pieces.map((piece) => piece.text).join("");
  for (let limit = 0; limit <= whole.length; limit++) {
    const begun = beginning(pieces, limit);
    const text = begun.pieces.map((piece) => piece.text).join("");
    assert.equal(begun.more, limit < whole.length);
    assert.ok(whole.startsWith(text));
    assert.ok(text.isWellFormed());
    assert.ok(limit - text.length < 2);
  }
});

for (const text of vectors.refused) {
  test(`refused as on the server: ${JSON.stringify(text)}`, () => {
    assert.throws(() => readJson(text), NotJson);
  });
}

test("a mistake says what and where", () => {
  const source = '{\n  "a": 1,\n  "b": tru\n}';
  const mistakeIn = (text: string) => {
    try {
      readJson(text);
    } catch (error) {
      if (error instanceof NotJson) {
        return [error.mistake, text.slice(error.start, error.end)];
      }
    }
    return undefined;
  };
  assert.deepEqual(mistakeIn(source), ["unexpected", "tru"]);
  assert.deepEqual(mistakeIn('{"a": 1, "a": 2}'), ["twice", '"a"']);
  assert.deepEqual(mistakeIn('{"a": [1, ]}'), ["trailing-comma", ","]);
  assert.deepEqual(mistakeIn('{"a": "b'), ["unclosed-string", '"b']);
  assert.deepEqual(mistakeIn('{"a": "\\\\\\q"}'), ["bad-escape", "\\q"]);
  assert.deepEqual(mistakeIn('{"a": 1'), ["ends-early", "1"]);
});

test("templates may nest a hundred levels, not more", () => {
  const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
  assert.doesNotThrow(() => readJson(nested(99)));
  assert.throws(() => readJson(nested(100)), { mistake: "too-deep" });
});

test("a text is laid out as people write JSON", () => {
  assert.equal(
    formatted('{"a":[1,{"b":{}}],"c":[],"d":"x"}'),
    '{\n  "a": [\n    1,\n    {\n      "b": {}\n    }\n  ],\n  "c": [],\n  "d": "x"\n}',
  );
});
