// @ts-check
// How often figures and rows change on the screen, as the reader wants it.

/**
 * `shown`, called at most once in `everyMs`: what comes sooner waits, and of what waits only the newest is shown.
 * @template T
 * @param {(document: T) => void} shown
 * @param {number} everyMs 0: as it comes
 * @returns {(document: T) => void}
 */
export function paced(shown, everyMs) {
  if (!everyMs) return shown;
  let shownAt = -Infinity;
  let timer = 0;
  /** @type {T} */
  let newest;
  const show = () => {
    timer = 0;
    shownAt = performance.now();
    shown(newest);
  };
  return (document) => {
    newest = document;
    const waitMs = shownAt + everyMs - performance.now();
    if (timer) return;
    if (waitMs > 0) timer = /** @type {any} */ (setTimeout(show, waitMs));
    else show();
  };
}
