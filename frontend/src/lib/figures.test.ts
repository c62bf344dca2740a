import assert from "node:assert/strict";
import { test } from "node:test";
import { percent, shownFigure } from "./figures.ts";

test("a share is all or nothing only where it is", () => {
  const shown = [1, 0.99999, 0.5, 0.00001, 0].map((share) => percent(share, "en"));
  assert.deepEqual(shown, ["100%", "99.9%", "50%", "0.1%", "0%"]);
  assert.equal(percent(0.99999, "es"), "99,9\u00a0%");
});

test("figures are shown as people write numbers", () => {
  const figures = { successful: 12345, pending: 0, in_progress: 1, failed: 2, total: 12348, success_rate: null };
  assert.equal(shownFigure(figures, "successful", "en"), "12,345");
  assert.equal(shownFigure(figures, "success_rate", "en"), "–");
  assert.equal(shownFigure({ ...figures, total: 1234 }, "total", "es"), "1.234", "as the server writes it");
});
