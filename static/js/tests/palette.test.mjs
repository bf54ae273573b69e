import assert from "node:assert/strict";
import { test } from "node:test";

import { MAX_SHOWN, fit, matching, taskId } from "../palette_match.js";

const texts = (entries, query) => matching(entries.map((text) => ({ text })), query).map(({ text }) => text);

test("the beginning fits best, then that of a word, then any part", () => {
  assert.deepEqual(texts(["unqueue", "the queue", "queues", "nodes"], "queue"), ["queues", "the queue", "unqueue"]);
  assert.deepEqual(texts(["video.render", "render"], "render"), ["render", "video.render"]);
});

test("every word has to fit, in any order and case", () => {
  assert.ok(fit("Pause live updates", "UPDATES pause"));
  assert.equal(fit("Pause live updates", "pause nodes"), 0);
});

test("the kind helps to find, but not as much as the text", () => {
  const entries = [{ text: "w-1", kind: "Node" }, { text: "Nodes", kind: "Page" }];
  assert.deepEqual(matching(entries, "node").map(({ text }) => text), ["Nodes", "w-1"]);
});

test("nothing typed shows the first ones, and never more than fit", () => {
  const many = Array.from({ length: 50 }, (_, i) => `a${i}`);
  assert.deepEqual(texts(many, " "), many.slice(0, MAX_SHOWN));
  assert.equal(texts(many, "a").length, MAX_SHOWN);
});

test("ids of tasks are told from names", () => {
  assert.deepEqual(["48213", "#7", " 7 ", "0", "w-1", "7a", "9".repeat(20)].map(taskId), ["48213", "7", "7", "", "", "", ""]);
});
