import assert from "node:assert/strict";
import { test } from "node:test";
import { kindOf, safeUrl } from "./resources.ts";

test("only http, https and paths of Portal's are followed", () => {
  assert.equal(safeUrl("https://portal.example/a?b#c"), "https://portal.example/a?b#c");
  assert.equal(safeUrl("http://portal.example"), "http://portal.example/");
  assert.equal(safeUrl("/alerts/1"), "/alerts/1");
  for (const url of ["javascript:alert(1)", " javascript:alert(1)", "data:text/html,x", "relative", "", null]) {
    assert.equal(safeUrl(url), undefined);
  }
});

test("event types with the same items share what is chosen", () => {
  assert.equal(kindOf("object_created"), kindOf("object_deleted"));
  assert.equal(kindOf("operation_executed"), kindOf("operation_executed_in_workspace"));
  assert.notEqual(kindOf("active_alert"), kindOf("executed_microservice"));
});
