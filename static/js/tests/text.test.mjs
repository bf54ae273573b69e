import assert from "node:assert/strict";
import { test } from "node:test";

import { pauseMs } from "../backoff.js";
import { laidOut, partAt, tokens } from "../json_text.js";
import { isMoving, parts } from "../timeline.js";

const text = (json) => laidOut(json).map(([, piece]) => piece).join("");

test("JSON is laid out without a digit lost", () => {
  assert.equal(text('{"a":12345678901234567890,"b":[1,{}],"c":[]}'), '{\n  "a": 12345678901234567890,\n  "b": [\n    1,\n    {}\n  ],\n  "c": []\n}');
  assert.equal(text('"a \\" } b"'), '"a \\" } b"');
});

test("keys, strings, numbers and words are told apart", () => {
  const kinds = laidOut('{"k":"s","n":-1.5e3,"w":null}').filter(([kind]) => kind);
  assert.deepEqual(kinds, [["key", '"k"'], ["string", '"s"'], ["key", '"n"'], ["number", "-1.5e3"], ["key", '"w"'], ["word", "null"]]);
});

test("a part of JSON has its path and its text, exact to the digit", () => {
  const text = '{"a": [1, {"b c": [-0, 1e400, 9223372036854775809], "d\\"": {"e": "]"}}], "f": {}}';
  const at = (...places) => Object.values(partAt(text, places));
  assert.deepEqual(at(), ["$", text.replaceAll(" ", "").replace('"bc"', '"b c"')]);
  assert.deepEqual(at(0, 1, 0, 2), ['$.a[1]["b c"][2]', "9223372036854775809"]);
  assert.deepEqual(at(0, 1, 0), ['$.a[1]["b c"]', "[-0,1e400,9223372036854775809]"]);
  assert.deepEqual(at(0, 1, 1, 0), ['$.a[1]["d\\""].e', '"]"']);
  assert.deepEqual(at(1), ["$.f", "{}"]);
  assert.deepEqual(Object.values(partAt("7", [])), ["$", "7"]);
  assert.equal(partAt("no JSON", [4, 4]).value, "");
});

test("what is not JSON is left alone", () => {
  assert.equal(tokens("Traceback: no"), null);
  assert.equal(laidOut("{a}"), null);
});

test("pauses grow, are spread from zero, and never exceed thirty seconds", () => {
  assert.equal(pauseMs(0, 1), 500);
  assert.equal(pauseMs(3, 1), 4000);
  assert.equal(pauseMs(60, 1), 30000);
  assert.equal(pauseMs(60, 0), 0);
});

test("an attempt is waiting, on its way, and running", () => {
  const at = (second) => `2026-11-23T12:00:0${second}Z`;
  const now = Date.parse(at(9));
  const whole = { outcome: "failed", queued_at: at(0), dispatched_at: at(1), started_at: at(2), ended_at: at(4) };
  assert.deepEqual(parts(whole, now).map(([kind, from, to]) => [kind, to - from]), [["wait", 1000], ["sent", 1000], ["run", 2000]]);
  const running = { outcome: "running", queued_at: at(0), dispatched_at: at(1), started_at: at(2), ended_at: null };
  assert.equal(parts(running, now).at(-1)[2], now);
  const again = { ...whole, retry_at: at(7) };
  assert.deepEqual(parts(again, now).at(-1).slice(0, 3), ["backoff", Date.parse(at(4)), Date.parse(at(7))]);
  // Of a wait that is not over, as much as has passed.
  assert.deepEqual(parts({ ...again, retry_at: at(9) }, Date.parse(at(6))).at(-1)[2], Date.parse(at(6)));
  assert.equal(parts({ ...whole, retry_at: at(4) }, now).length, 3);
  assert.ok(isMoving([{ ...whole, retry_at: new Date(Date.now() + 60_000).toISOString() }]));
  assert.ok(!isMoving([again]));
  const waiting = { outcome: "dispatched", queued_at: at(0), dispatched_at: null, started_at: null, ended_at: null };
  assert.deepEqual(parts(waiting, now).map(([kind]) => kind), ["wait"]);
});
