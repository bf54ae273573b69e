import assert from "node:assert/strict";
import { test } from "node:test";

import { curl, jsonError, pairs, skeleton, taskCount, taskOf } from "../task_form.js";

const EMPTY = {
  type: "", queue: "", payload: "", priority: "0", delay_seconds: "", run_at: "", max_attempts: "", backoff_seconds: "",
  backoff_cap_seconds: "", timeout_seconds: "", deadline: "", affinity_key: "", labels: "", tags: "",
};

test("only what was filled in is sent", () => {
  assert.deepEqual(taskOf({ ...EMPTY, type: " echo " }), { body: '{"type":"echo","payload":null}', wrong: [] });
});

test("the payload keeps every digit", () => {
  const { body } = taskOf({ ...EMPTY, type: "echo", payload: '{"id": 12345678901234567890.10}' });
  assert.equal(body, '{"type":"echo","payload":{"id": 12345678901234567890.10}}');
});

test("numbers, times, labels and tags are read", () => {
  const filled = { priority: "5", delay_seconds: "1.5", max_attempts: "2", labels: "gpu=yes, zone=eu", tags: "a, b,", queue: "gpu" };
  assert.deepEqual(JSON.parse(taskOf({ ...EMPTY, ...filled, type: "echo" }).body), {
    type: "echo", queue: "gpu", priority: 5, delay_seconds: 1.5, max_attempts: 2, labels: { gpu: "yes", zone: "eu" }, tags: ["a", "b"], payload: null,
  });
});

test("what is wrong is named by its field", () => {
  const filled = { payload: "{", labels: "gpu", delay_seconds: "1", run_at: "2026-11-24T02:00", timeout_seconds: "soon" };
  const { wrong } = taskOf({ ...EMPTY, ...filled });
  assert.deepEqual(wrong.map(({ field }) => field).sort(), ["labels", "payload", "run_at", "timeout_seconds", "type"]);
});

test("pairs", () => {
  assert.deepEqual(pairs("a=b=c"), { a: "b=c" });
  assert.deepEqual(pairs(""), {});
  assert.equal(pairs("=x"), null);
});

test("JSON is checked and counted", () => {
  assert.equal(jsonError("[1]"), "");
  assert.notEqual(jsonError("[1"), "");
  assert.equal(taskCount('{"type":"a"}'), 1);
  assert.equal(taskCount('[{"type":"a"},{"type":"b"}]'), 2);
  assert.equal(taskCount('{"tasks":[{"type":"a"},{"type":"b"}]}'), 2);
});

test("a schema becomes a payload to begin with", () => {
  const schema = {
    type: "object",
    properties: { url: { type: "string", examples: ["/tmp"] }, tries: { type: "integer", default: 3 }, mode: { enum: ["fast", "slow"] }, all: { type: "boolean" }, list: { type: "array" } },
  };
  assert.deepEqual(skeleton(schema), { url: "/tmp", tries: 3, mode: "fast", all: false, list: [] });
  assert.equal(skeleton(null), null);
});

test("a quote in the payload does not end the shell's", () => {
  assert.ok(curl("http://x", `{"a":"it's"}`).endsWith(`-d '{"a":"it'\\''s"}'`));
});
