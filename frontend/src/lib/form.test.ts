import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesOf } from "./form.ts";

test("a form is as large as it is sent: encoded, its lines ended as forms end them", () => {
  assert.equal(bytesOf([]), 0);
  assert.equal(bytesOf([["name", "a b"]]), "name=a+b".length);
  assert.equal(bytesOf([["t", "{"]]), "t=%7B".length);
  assert.equal(bytesOf([["t", "ñ"]]), "t=%C3%B1".length);
  assert.equal(bytesOf([["t", "1\n2\r\n3"]]), "t=1%0D%0A2%0D%0A3".length);
});
