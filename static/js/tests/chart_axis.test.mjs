// What stands at a chart's axis where clocks are turned, and where zones are not whole hours.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const HOUR = 3600;

/** @param {string} zone @param {string[]} marks @param {[string, number, number][]} steps */
function named(zone, marks, steps) {
  const asked = JSON.stringify({ zone, marks, steps });
  const done = spawnSync(process.execPath, [fileURLToPath(new URL("axis_in.mjs", import.meta.url)), asked], { encoding: "utf8" });
  assert.equal(done.status, 0, done.stderr);
  return JSON.parse(done.stdout);
}

test("in Berlin the hour that is left out in spring has no mark, and no step begins in it", () => {
  const found = named(
    "Europe/Berlin",
    ["2026-03-28T23:00Z", "2026-03-29T00:00Z", "2026-03-29T01:00Z", "2026-03-29T02:00Z"],
    [
      ["2026-03-29T00:59Z", 60, HOUR],
      ["2026-03-29T01:00Z", 60, HOUR],
      ["2026-03-29T00:45Z", 900, 6 * HOUR],
    ],
  );
  assert.deepEqual(found.marks, ["03-29", "01:00", "03:00", "04:00"]);
  assert.deepEqual(found.steps, ["01:59 UTC+1", "03:00 UTC+2", "01:45–03:00 UTC+1"]);
});

test("in Berlin the hour that comes twice in autumn is told apart by its zone", () => {
  const found = named(
    "Europe/Berlin",
    ["2026-10-24T22:00Z", "2026-10-25T00:00Z", "2026-10-25T01:00Z", "2026-10-25T02:00Z"],
    [
      ["2026-10-25T00:30Z", 60, HOUR],
      ["2026-10-25T01:30Z", 60, HOUR],
      ["2026-10-25T00:00Z", 2 * HOUR, 7 * 24 * HOUR],
      ["2026-10-27T00:00Z", 60, HOUR],
    ],
  );
  assert.deepEqual(found.marks, ["10-25", "02:00", "02:00", "03:00"]);
  assert.deepEqual(found.steps, ["02:30 UTC+2", "02:30 UTC+1", "10-25 02:00–03:00 UTC+2", "01:00"]);
});

test("zones of half and quarter hours keep them", () => {
  const day = 24 * HOUR;
  assert.deepEqual(named("Asia/Kolkata", ["2026-06-01T18:30Z", "2026-06-01T19:00Z"], [["2026-06-01T18:00Z", 900, HOUR], ["2026-06-01T18:30Z", 900, day]]), {
    marks: ["06-02", "00:30"],
    steps: ["23:30–23:45", "06-02 00:00–00:15"],
  });
  assert.deepEqual(named("Asia/Kathmandu", ["2026-06-01T18:15Z"], [["2026-06-01T18:00Z", 60, HOUR]]), { marks: ["06-02"], steps: ["23:45"] });
  // Half an hour is what Lord Howe turns its clocks by.
  assert.deepEqual(named("Australia/Lord_Howe", ["2026-04-04T15:00Z"], [["2026-04-04T14:45Z", 60, HOUR], ["2026-04-04T15:15Z", 60, HOUR]]), {
    marks: ["01:30"],
    steps: ["01:45 UTC+11", "01:45 UTC+10:30"],
  });
});
