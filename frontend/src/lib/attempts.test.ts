import assert from "node:assert/strict";
import { test } from "node:test";
import { type Attempt, changeOf, latest, placeOf, type Status, timeOf } from "./attempts.ts";

const attempt = (id: string, status: Status): Attempt => ({
  id,
  message_id: "m",
  run: 1,
  attempt: 1,
  status,
  duration_ms: null,
  response_code: null,
  executed_on: null,
  error: null,
  next_attempt_at: "2026-11-24T10:00:00.000Z",
});

test("a new attempt is added where it fits the filter", () => {
  assert.equal(changeOf(attempt("a", "pending"), undefined, ""), "add");
  assert.equal(changeOf(attempt("a", "pending"), undefined, "pending"), "add");
  assert.equal(changeOf(attempt("a", "pending"), undefined, "failed"), "none");
});

test("a row is updated in place, leaves a filter that it no longer fits, and never goes back", () => {
  assert.equal(changeOf(attempt("a", "failed"), { status: "pending", at: 0 }, ""), "update");
  assert.equal(changeOf(attempt("a", "failed"), { status: "pending", at: 0 }, "pending"), "remove");
  assert.equal(changeOf(attempt("a", "pending"), { status: "in_progress", at: 0 }, ""), "none");
  assert.equal(changeOf(attempt("a", "failed"), { status: "successful", at: 0 }, ""), "none");
});

test("the newest stands first, also before rows of the same time", () => {
  assert.equal(placeOf([30, 20, 10], 40), 0);
  assert.equal(placeOf([30, 20, 10], 20), 1);
  assert.equal(placeOf([30, 20, 10], 5), 3);
  assert.equal(placeOf([], 5), 0);
});

test("a row's time is when it was made, before that when it is due", () => {
  const due = attempt("a", "pending");
  assert.equal(timeOf(due), Date.parse("2026-11-24T10:00:00Z"));
  assert.equal(timeOf({ ...due, executed_on: "2026-11-24T11:00:00Z" }), Date.parse("2026-11-24T11:00:00Z"));
});

test("of several reports of an attempt the furthest counts", () => {
  const found = latest([
    attempt("a", "in_progress"),
    attempt("b", "pending"),
    attempt("a", "failed"),
    attempt("a", "pending"),
  ]);
  assert.deepEqual(
    [...found.values()].map((one) => `${one.id} ${one.status}`),
    ["a failed", "b pending"],
  );
});
