// @ts-check
// How often figures and rows change on the screen: as the reader wants it, and as their machine can.

/** Of a tab's time, drawing may take one part in so many: a slow or busy machine shows less often, and stays usable. */
const SHARE = 5;

/** @param {() => void} then once what was written is on the screen */
const afterPaint = (then) => void requestAnimationFrame(() => setTimeout(then));

/**
 * `shown`, called at most once in `everyMs`, and not before five times as long has passed as the last call took until it
 * was painted. What comes sooner waits, and of what waits only the newest is shown.
 * @template T
 * @param {(document: T) => void} shown
 * @param {number} everyMs 0: as it comes
 * @param {{now: () => number, painted: (then: () => void) => void}} [screen]
 * @returns {(document: T) => void}
 */
export function paced(shown, everyMs, { now, painted } = { now: () => performance.now(), painted: afterPaint }) {
  let nextAt = -Infinity;
  let timer = 0;
  /** @type {T} */
  let newest;
  const show = () => {
    timer = 0;
    const from = now();
    nextAt = from + everyMs;
    shown(newest);
    painted(() => (nextAt = Math.max(nextAt, from + SHARE * (now() - from))));
  };
  /** The time may have been put off while it was waited for. */
  const due = () => {
    const waitMs = nextAt - now();
    if (waitMs > 0) timer = /** @type {any} */ (setTimeout(due, waitMs));
    else show();
  };
  return (document) => {
    newest = document;
    if (!timer) due();
  };
}
