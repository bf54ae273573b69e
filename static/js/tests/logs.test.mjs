// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { pieces, plain } from "../ansi.js";
import { Heights } from "../log_view.js";
import { LogStore, MAX_LINES } from "../log_store.js";

/** @param {number} attempt @param {number} from @param {number} to */
const lines = (attempt, from, to) =>
  Array.from({ length: Math.max(to - from + 1, 0) }, (_, i) => ({
    id: `${attempt}.${from + i}`, attempt, n: from + i, at: "", level: "info", text: "",
  }));

/** @param {LogStore} store @param {number} [attempt] */
const numbers = (store, attempt = 0) => store.lines(attempt).map(({ id }) => id);

test("a log that fits into its end lacks nothing", () => {
  const store = new LogStore();
  store.take(lines(1, 1, 3), [{ attempt: 1, last: 3 }]);
  assert.equal(store.missing(0), null);
  assert.equal(store.total, 3);
});

test("what lies before the end is asked for page by page, and each line is there once", () => {
  const store = new LogStore();
  store.take(lines(1, 8, 9), [{ attempt: 1, last: 9 }]);
  assert.deepEqual(store.missing(0), { attempt: 1, after: 0 });
  assert.equal(store.total, 9);
  store.page(1, 0, lines(1, 1, 4), false);
  assert.deepEqual(store.missing(0), { attempt: 1, after: 4 });
  store.page(1, 4, lines(1, 5, 8), false);
  assert.equal(store.missing(0), null);
  assert.deepEqual(numbers(store), lines(1, 1, 9).map(({ id }) => id));
});

test("more lines than an end holds leave a gap, which is asked for from where it begins", () => {
  const store = new LogStore();
  store.take(lines(1, 1, 3), [{ attempt: 1, last: 3 }]);
  store.take(lines(1, 10, 12), [{ attempt: 1, last: 12 }]);
  assert.deepEqual(store.missing(0), { attempt: 1, after: 3 });
  store.page(1, 3, lines(1, 4, 12), true);
  assert.equal(store.missing(0), null);
  store.take(lines(1, 11, 14), [{ attempt: 1, last: 14 }]);
  assert.equal(store.missing(0), null);
  assert.equal(store.size, 14);
});

test("numbers that a node left out are not asked for for ever", () => {
  const store = new LogStore();
  store.take(lines(1, 9, 9), [{ attempt: 1, last: 9 }]);
  store.page(1, 0, [...lines(1, 1, 2), ...lines(1, 9, 9)], true);
  assert.equal(store.missing(0), null);
});

test("attempts are told apart; the newest is asked for first", () => {
  const store = new LogStore();
  const ends = [{ attempt: 1, last: 5 }, { attempt: 2, last: 5 }, { attempt: 4, last: 2 }];
  store.take([...lines(2, 4, 5), ...lines(4, 1, 2)], ends);
  assert.deepEqual(store.missing(0), { attempt: 2, after: 0 });
  assert.deepEqual(store.missing(1), { attempt: 1, after: 0 });
  assert.equal(store.missing(4), null);
  assert.equal(store.total, 12);
  assert.deepEqual(store.attempts, [1, 2, 4]);
  assert.deepEqual(numbers(store, 4), ["4.1", "4.2"]);
  assert.deepEqual(numbers(store), ["2.4", "2.5", "4.1", "4.2"]);
});

test("memory is bounded: the oldest lines go, and are not asked for again", () => {
  const store = new LogStore();
  store.take([], [{ attempt: 1, last: MAX_LINES + 500 }]);
  for (let after = 0; store.missing(0); after += 500) store.page(1, after, lines(1, after + 1, after + 500), false);
  assert.equal(store.size, MAX_LINES);
  store.take(lines(1, MAX_LINES + 1, MAX_LINES + 10), [{ attempt: 1, last: MAX_LINES + 10 }]);
  assert.equal(store.size, MAX_LINES);
  assert.ok(store.isCut);
  assert.equal(store.lines(1)[0].n, 11);
  assert.equal(store.missing(1), null);
});

test("heights are summed, changed and found as one by one", () => {
  const sizes = Array.from({ length: 1000 }, (_, i) => ((i * 7919) % 5) * 10 + 20);
  const heights = new Heights(sizes);
  for (const i of [0, 1, 63, 64, 500, 999]) sizes[i] += i % 2 ? 13 : -5;
  for (const i of [0, 1, 63, 64, 500, 999]) assert.ok(heights.set(i, sizes[i]));
  assert.equal(heights.set(5, sizes[5]), false);
  let sum = 0;
  sizes.forEach((size, i) => {
    assert.equal(heights.offset(i), sum);
    assert.equal(heights.indexAt(sum), i);
    assert.equal(heights.indexAt(sum + size - 0.5), i);
    sum += size;
  });
  assert.equal(heights.total, sum);
  assert.equal(heights.indexAt(-5), 0);
  assert.equal(heights.indexAt(sum + 100), 999);
  assert.equal(new Heights([]).indexAt(10), 0);
});

test("colours become classes, everything else that terminals obey is left out", () => {
  assert.deepEqual(pieces("a\x1b[31mb\x1b[1mc\x1b[0md"), [["", "a"], ["ansi-red", "b"], ["ansi-red ansi-bold", "c"], ["", "d"]]);
  assert.deepEqual(pieces("\x1b[38;5;31mx\x1b[38;2;31;32;33my\x1b[92mz"), [["", "xy"], ["ansi-green", "z"]]);
  assert.equal(plain("\x1b]0;title\x07\x1b[2J\x1b[1;1Hback\bspace\x1b"), "backspace");
  assert.equal(plain("tab\tand\nline"), "tab\tand\nline");
});
