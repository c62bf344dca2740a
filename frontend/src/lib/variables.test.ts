import assert from "node:assert/strict";
import { test } from "node:test";
import { nearest, variableAt } from "./variables.ts";

/** The text after a variable was put where `|` stands. */
function put(marked: string, inString = false): string {
  const cursor = marked.indexOf("|");
  const source = marked.replace("|", "");
  const { at, end, text } = variableAt(source, cursor, cursor, "alert_name", inString);
  return source.slice(0, at) + text + source.slice(end);
}

test("inside quotes a variable stands as it is", () => {
  assert.equal(put('{"text": "Alert: |"}', true), '{"text": "Alert: #alert_name"}');
});

test("where a value is expected it comes with quotes", () => {
  assert.equal(put('{"text": |}'), '{"text": "#alert_name"}');
  assert.equal(put('{"text": |, "n": 1}'), '{"text": "#alert_name", "n": 1}');
});

test("anywhere else it becomes a member at the end of the object", () => {
  assert.deepEqual(JSON.parse(put("|{}")), { alert_name: "#alert_name" });
  assert.deepEqual(JSON.parse(put('|{\n  "n": 1\n}\n')), { n: 1, alert_name: "#alert_name" });
  assert.deepEqual(JSON.parse(put('{"a": {"b": 1}|}')), { a: { b: 1 }, alert_name: "#alert_name" });
});

test("in what is no object it stands at the cursor", () => {
  assert.equal(put("[|]"), '["#alert_name"]');
  assert.equal(put("|"), '"#alert_name"');
});

test("a mistyped name finds the one that is meant, and another none", () => {
  const variables = [
    { name: "alert_name", caption: "" },
    { name: "timestamp", caption: "" },
  ];
  assert.equal(nearest("alert_nam", variables)?.name, "alert_name");
  assert.equal(nearest("flow_id", variables), undefined);
});
