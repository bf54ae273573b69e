// @ts-check
// The server's clock as this tab knows it, and a tick once a second for ages on the screen.

let offsetMs = 0;

/**
 * Take over the server's clock.
 * @param {string} serverTime ISO 8601
 * @param {number} [delayMs] how long the message may have been under way
 */
export function setServerTime(serverTime, delayMs = 0) {
  const at = Date.parse(serverTime);
  if (Number.isFinite(at)) offsetMs = at + delayMs - Date.now();
}

/** Milliseconds since 1970 on the server's clock. */
export const serverNow = () => Date.now() + offsetMs;

/** @type {Set<() => void>} */
const listeners = new Set();
let timer = 0;

/**
 * Call back once a second while the tab is visible.
 * @param {() => void} listener
 */
export function everySecond(listener) {
  listeners.add(listener);
  if (!timer && typeof document !== "undefined") {
    timer = setInterval(() => {
      if (!document.hidden) for (const call of listeners) call();
    }, 1000);
  }
}
