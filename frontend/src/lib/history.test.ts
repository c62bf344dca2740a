import assert from "node:assert/strict";
import { test } from "node:test";
import { filledBuckets, isRange, lonely, spanOf } from "./history.ts";

const NOW = Date.parse("2026-11-24T10:15:04Z");

test("a span ends with the bucket that is running and starts at a bucket", () => {
  const iso = (time: number) => new Date(time).toISOString();
  const hours = spanOf("24h", NOW);
  assert.deepEqual([iso(hours.from), iso(hours.to)], ["2026-11-23T11:00:00.000Z", "2026-11-24T11:00:00.000Z"]);
  const days = spanOf("28d", NOW);
  assert.deepEqual([iso(days.from), iso(days.to)], ["2026-10-28T00:00:00.000Z", "2026-11-25T00:00:00.000Z"]);
});

test("hours that the API leaves out count nothing and have no durations", () => {
  const one = {
    start: "2026-11-24T09:00:00.000Z",
    successful: 3,
    failed: 1,
    attempts: 5,
    p50_ms: 4,
    p95_ms: 9,
    p99_ms: 9.5,
  };
  const filled = filledBuckets(spanOf("24h", NOW), [one]);
  assert.equal(filled.length, 24);
  assert.deepEqual(filled[22], one);
  assert.deepEqual([filled[23]?.successful, filled[23]?.p50_ms], [0, null]);
});

test("only values between gaps are alone", () => {
  assert.deepEqual(lonely([1, null, 2, 3, null, 4]), [0, 5]);
});

test("ranges are known by their names", () => {
  assert.ok(isRange("7d"));
  assert.ok(!isRange("9d") && !isRange(null));
});
