import assert from "node:assert/strict";
import { test } from "node:test";

import { applied, choices, tokenAt } from "../query_text.js";

const KEYS = [
  { name: "state", meaning: "in this state", example: "state:failed", values: ["queued", "failed", "expired"] },
  { name: "started", meaning: "started then", example: "started:1h", values: [] },
  { name: "tag", meaning: "with this tag", example: "tag:x", values: ["two words", 'say "hi"', "fail,over"] },
  { name: "args.", meaning: "with this member", example: "args.user.id:42", values: [] },
];
const texts = (text, caret = text.length) => choices(tokenAt(text, caret), KEYS).map((choice) => choice.text);
const taken = (text, place = 0, caret = text.length) => {
  const token = tokenAt(text, caret);
  return applied(text, token, choices(token, KEYS)[place]);
};

test("keys are offered first, those that begin so before those that hold it", () => {
  assert.deepEqual(texts("st"), ["state:", "started:"]);
  assert.deepEqual(texts("queue:gpu -ta"), ["tag:", "state:", "started:"]);
  assert.deepEqual(texts(""), ["state:", "started:", "tag:", "args."]);
});

test("after a key its values are offered", () => {
  assert.deepEqual(texts("state:"), ["queued", "failed", "expired"]);
  assert.deepEqual(texts("state:failed,ex"), ["expired"]);
  assert.deepEqual(texts("-STATE:FAIL"), ["failed"]);
  assert.deepEqual(texts("colour:"), []);
  assert.deepEqual(texts("state:failed"), []);
});

test("values are quoted where they have to be", () => {
  assert.deepEqual(texts("tag:"), ['"two words"', '"say \\"hi\\""', '"fail,over"']);
  assert.deepEqual(texts('tag:"two w'), ['"two words"']);
});

test("nothing of a quoted text is taken for a key", () => {
  assert.deepEqual(tokenAt('"a state:', 9), { start: 0, end: 9, key: "", typed: '"a state:' });
});

test("a choice takes the place of what was typed of it, and the caret goes behind it", () => {
  assert.deepEqual(taken("queue:gpu st"), { text: "queue:gpu state:", caret: 16 });
  assert.deepEqual(taken("state:fa"), { text: "state:failed ", caret: 13 });
  assert.deepEqual(taken("state:queued,fa tag:x", 0, 15), { text: "state:queued,failed tag:x", caret: 19 });
  assert.deepEqual(taken('tag:"two w'), { text: 'tag:"two words" ', caret: 16 });
  assert.deepEqual(taken("-st"), { text: "-state:", caret: 7 });
});
