// Both halves of the formats are held to format_cases.json: this one, and tests/dashboard/test_formats.py.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

process.env.TZ = "UTC";
const { FORMATS } = await import("../row_format.js");
const { now, cases } = JSON.parse(readFileSync(new URL("format_cases.json", import.meta.url), "utf8"));

for (const [name, value, expected] of cases) {
  test(`${name} of ${JSON.stringify(value)}`, () => assert.equal(FORMATS[name](value, Date.parse(now)), expected));
}

test("every format has a case", () => {
  const tested = new Set(cases.map(([name]) => name));
  const trivial = new Set(["breaker_title", "task_icon", "node_icon", "queue_icon"]);
  assert.deepEqual(Object.keys(FORMATS).filter((name) => !tested.has(name) && !trivial.has(name)), []);
});
