import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { paced } from "../pace.js";

/** A screen whose drawing takes `costMs`, until it is painted. */
function screen(costMs) {
  const seen = [];
  let now = 1000;
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  const painted = (then) => setTimeout(then, costMs);
  return {
    seen,
    of: (everyMs) => paced((document) => seen.push(document), everyMs, { now: () => now, painted }),
    pass(ms) {
      for (let i = 0; i < ms; i += 1) {
        now += 1;
        mock.timers.tick(1);
      }
    },
  };
}

test("as it comes where drawing takes next to nothing", () => {
  const { seen, of, pass } = screen(1);
  const show = of(0);
  for (const n of [1, 2, 3]) {
    show(n);
    pass(10);
  }
  assert.deepEqual(seen, [1, 2, 3]);
});

test("the first at once, then the newest when its time has come", () => {
  const { seen, of, pass } = screen(1);
  const show = of(5000);
  for (const n of [1, 2, 3]) show(n);
  assert.deepEqual(seen, [1]);
  pass(4999);
  assert.deepEqual(seen, [1]);
  pass(2);
  assert.deepEqual(seen, [1, 3]);
});

test("a machine that takes long to draw is given five times as long", () => {
  const { seen, of, pass } = screen(100);
  const show = of(0);
  show(1);
  pass(100);
  show(2);
  show(3);
  pass(399);
  assert.deepEqual(seen, [1]);
  pass(2);
  assert.deepEqual(seen, [1, 3]);
});

test("what comes before the cost is known waits for it as well", () => {
  const { seen, of, pass } = screen(100);
  const show = of(50);
  show(1);
  pass(10);
  show(2);
  pass(60);
  // Shown at 50 ms: the first was not painted yet. The next one waits five times its own cost.
  assert.deepEqual(seen, [1, 2]);
  show(3);
  pass(430);
  assert.deepEqual(seen, [1, 2]);
  pass(80);
  assert.deepEqual(seen, [1, 2, 3]);
  mock.timers.reset();
});
