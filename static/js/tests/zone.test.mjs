// Times of a zone other than the machine's, and what a field of type datetime-local means there.
import assert from "node:assert/strict";
import { test } from "node:test";

process.env.TZ = "UTC";
globalThis.document = { documentElement: { lang: "en", dataset: { zone: "Europe/Berlin" } } };
const { taskOf } = await import("../task_form.js");
const { fromLocal, local, zoneLabel, zoneName } = await import("../zone.js");

test("the reader's choice counts, not the machine's zone", () => assert.equal(zoneName, "Europe/Berlin"));

test("clock, calendar and offset of a time", () => {
  const winter = Date.parse("2026-01-01T23:30:00.250Z");
  assert.deepEqual(local(winter), { date: "2026-01-02", time: "00:30:00", offsetMinutes: 60 });
  assert.equal(zoneLabel(winter), "UTC+1");
  assert.equal(zoneLabel(Date.parse("2026-07-01T00:00:00Z")), "UTC+2");
  assert.deepEqual(local(-1), { date: "1970-01-01", time: "00:59:59", offsetMinutes: 60 });
});

test("what is typed is meant in the zone", () => {
  assert.equal(new Date(fromLocal("2026-07-01T02:00")).toISOString(), "2026-07-01T00:00:00.000Z");
  assert.equal(new Date(fromLocal("2026-01-01T02:00:05")).toISOString(), "2026-01-01T01:00:05.000Z");
  assert.ok(Number.isNaN(fromLocal("soon")));
  assert.ok(Number.isNaN(fromLocal("")));
});

test("a clock turned back shows a time twice, the first is meant; one that is jumped over has a neighbour", () => {
  assert.equal(new Date(fromLocal("2026-10-25T02:30")).toISOString(), "2026-10-25T00:30:00.000Z");
  assert.equal(new Date(fromLocal("2026-03-29T02:30")).toISOString(), "2026-03-29T01:30:00.000Z");
});

test("the times of a new task are those of the reader's zone, also where a clock jumps", () => {
  const fields = { type: "t", queue: "", payload: "", affinity_key: "", labels: "", tags: "" };
  const times = (/** @type {string} */ text) => JSON.parse(taskOf({ ...fields, run_at: text, deadline: text }).body);
  assert.equal(times("2026-07-01T02:00").run_at, "2026-07-01T00:00:00.000Z");
  assert.equal(times("2026-12-01T02:00").deadline, "2026-12-01T01:00:00.000Z");
  assert.equal(times("2026-03-29T02:30").run_at, "2026-03-29T01:30:00.000Z");
  assert.deepEqual(taskOf({ ...fields, run_at: "soon" }).wrong, [{ field: "run_at", key: "submit.time_bad" }]);
});
