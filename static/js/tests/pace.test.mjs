import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { paced } from "../pace.js";

test("as it comes unless a pace is wanted", () => {
  const shown = () => {};
  assert.equal(paced(shown, 0), shown);
});

test("the first at once, then the newest when its time has come", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const seen = [];
  const show = paced((document) => seen.push(document), 5000);
  for (const n of [1, 2, 3]) show(n);
  assert.deepEqual(seen, [1]);
  mock.timers.tick(5001);
  assert.deepEqual(seen, [1, 3]);
  mock.timers.reset();
});
