import assert from "node:assert/strict";
import { test } from "node:test";
import { type Attempt, changeOf, Held, latest, placeOf, type Status, timeOf } from "./attempts.ts";

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

/** One that was made so many seconds after the others. */
const made = (id: string, status: Status, second: number): Attempt => ({
  ...attempt(id, status),
  executed_on: new Date(Date.parse("2026-11-24T10:00:00.000Z") + second * 1000).toISOString(),
});
const ids = (held: Held): string[] => [...held.newest].map((one) => one.id);

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

test("a new attempt is held while it fits the filter, and never goes back", () => {
  const held = new Held();
  held.take(attempt("a", "pending"), "pending");
  held.take(attempt("b", "failed"), "pending");
  assert.deepEqual(ids(held), ["a"]);
  held.take(attempt("a", "in_progress"), "pending");
  assert.equal(held.count, 0);
  held.take(attempt("a", "failed"), "");
  held.take(attempt("a", "in_progress"), "");
  assert.deepEqual([...held.newest], [attempt("a", "failed")]);
});

test("the newest are held, and the others counted", () => {
  const held = new Held();
  for (let second = 0; second < 5_000; second += 1) {
    held.take(made(`${second}`, "in_progress", second), "");
    held.trim(3, 0);
  }
  assert.deepEqual(ids(held), ["4997", "4998", "4999"]);
  assert.deepEqual([held.count, held.passedOver], [5_000, 4_997]);
  // Another report of one that was counted already.
  held.take(made("4990", "failed", 4_990), "");
  held.trim(3, 0);
  assert.deepEqual(ids(held), ["4997", "4998", "4999"]);
  assert.equal(held.count, 5_000);
  held.clear();
  assert.deepEqual([held.count, held.passedOver], [0, 0]);
});

test("what was counted leaves a filter too", () => {
  const held = new Held();
  for (const second of [1, 2, 3]) {
    held.take(made(`${second}`, "in_progress", second), "in_progress");
  }
  held.trim(1, 0);
  assert.deepEqual([ids(held), held.count], [["3"], 3]);
  held.take(made("1", "failed", 1), "in_progress");
  held.take(made("3", "failed", 3), "in_progress");
  assert.deepEqual([ids(held), held.count], [[], 1]);
});

test("what is older than all of a page is not held", () => {
  const held = new Held();
  for (const second of [1, 2, 3]) {
    held.take(made(`${second}`, "failed", second), "");
  }
  held.trim(3, timeOf(made("", "failed", 2)));
  assert.deepEqual([ids(held), held.count], [["2", "3"], 2]);
});
