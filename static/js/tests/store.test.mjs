import assert from "node:assert/strict";
import { test } from "node:test";

import { LOG_LINES, afterDelta, fromSnapshot } from "../store.js";

const snapshot = (data) => fromSnapshot({ type: "snapshot", epoch: "e", seq: 7, data });
const delta = (more) => ({ type: "delta", epoch: "e", from: 7, seq: 8, ...more });

test("members of data replace members of the document", () => {
  const known = snapshot({ new: 1, counts: { queued: 1 } });
  const next = afterDelta(known, delta({ data: { new: 3 } }));
  assert.deepEqual(next, { document: { new: 3, counts: { queued: 1 } }, epoch: "e", seq: 8 });
  assert.equal(known.document.new, 1);
});

test("rows are removed, replaced, added and sorted as numbers", () => {
  const known = snapshot({ rows: [{ id: "100" }, { id: "99" }, { id: "9" }] });
  const change = { key: "id", upsert: [{ id: "99", state: "running" }, { id: "101" }], remove: ["9"] };
  const next = afterDelta(known, delta({ rows: { rows: change } }));
  assert.deepEqual(next.document.rows, [{ id: "101" }, { id: "100" }, { id: "99", state: "running" }]);
});

test("names are sorted by code point and the current attempt is last", () => {
  const known = snapshot({ nodes: [{ name: "b" }], attempts: [{ id: "current", number: 2 }] });
  const rows = {
    nodes: { key: "name", upsert: [{ name: "a" }, { name: "B" }], remove: [] },
    attempts: { key: "id", upsert: [{ id: "10", number: 1 }, { id: "9", number: 1 }, { id: "current", number: 2 }], remove: [] },
  };
  const { document } = afterDelta(known, delta({ rows }));
  assert.deepEqual(document.nodes.map(({ name }) => name), ["B", "a", "b"]);
  assert.deepEqual(document.attempts.map(({ id }) => id), ["9", "10", "current"]);
});

test("only the last log lines are kept", () => {
  const line = (n) => ({ id: `1.${n}`, attempt: 1, n });
  const known = snapshot({ logs: Array.from({ length: LOG_LINES }, (_, i) => line(i + 1)) });
  const next = afterDelta(known, delta({ rows: { logs: { key: "id", upsert: [line(LOG_LINES + 1)], remove: [] } } }));
  assert.equal(next.document.logs.length, LOG_LINES);
  assert.equal(next.document.logs.at(-1).n, LOG_LINES + 1);
  assert.equal(next.document.logs[0].n, 2);
});

test("a gap, another epoch and nothing known ask for a snapshot; old news is ignored", () => {
  const known = snapshot({});
  assert.equal(afterDelta(known, delta({ from: 6 })), "gap");
  assert.equal(afterDelta(known, delta({ epoch: "f" })), "gap");
  assert.equal(afterDelta(null, delta({})), "gap");
  assert.equal(afterDelta(known, delta({ from: 6, seq: 7 })), "old");
});
