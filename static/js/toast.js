// @ts-check
// Short messages in the corner, and the one polite voice for screen readers.

import { byId, make, makeIcon } from "./dom.js";
import { preference } from "./preferences.js";
import { t } from "./strings.js";

const SHOWN_MS = 8_000;

/**
 * Show a message. Bad news stays until it is closed.
 * @param {string} text
 * @param {{href?: string, link?: string, onLink?: () => void, tone?: "good" | "bad", stays?: boolean}} [options]
 */
export function toast(text, { href, link, onLink, tone = "good", stays = tone === "bad" } = {}) {
  const close = make(
    "button",
    { type: "button", class: "button quiet icon-only small", "aria-label": t("toast.close") },
    makeIcon("close"),
  );
  const body = make("div", { class: "toast-text" }, text);
  const box = make("div", { class: "toast", "data-tone": tone, role: tone === "bad" ? "alert" : "status" }, body, close);
  if (link && href) body.append(" ", make("a", { href }, link));
  if (link && onLink) {
    const button = make("button", { type: "button", class: "button small" }, link);
    button.addEventListener("click", onLink);
    body.append(" ", button);
  }
  close.addEventListener("click", () => box.remove());
  byId("toasts").append(box);
  if (!stays) {
    let timer = setTimeout(() => box.remove(), SHOWN_MS);
    box.addEventListener("pointerenter", () => clearTimeout(timer));
    box.addEventListener("pointerleave", () => (timer = setTimeout(() => box.remove(), SHOWN_MS / 2)));
  }
}

const PAUSE_MS = 10_000;
let saidAt = -PAUSE_MS;
/** @type {string} */
let waiting = "";

/**
 * Say something to screen readers, at most every ten seconds; what comes in between replaces what waits. Readers may
 * have chosen to hear of failures only, or of nothing that they did not do themselves.
 * @param {string} text
 * @param {boolean} [isFailure]
 */
export function announce(text, isFailure = false) {
  const wanted = preference("announce");
  if (wanted === "off" || (wanted === "failures" && !isFailure)) return;
  const wait = saidAt + PAUSE_MS - performance.now();
  if (wait > 0) {
    if (!waiting) setTimeout(say, wait);
    waiting = text;
    return;
  }
  waiting = text;
  say();
}

function say() {
  saidAt = performance.now();
  byId("announcer").textContent = waiting;
  waiting = "";
}
