// @ts-check
// Keyboard shortcuts, in one registry: what is in it works, and is what the "?" sheet and the palette show. Nothing
// happens while somebody types or a dialog is open, and single letters can be switched off.

import { isTyping } from "./dom.js";
import { preference } from "./preferences.js";
import { t } from "./strings.js";

const CHORD_MS = 1200;
/** What the usual ones do, whichever page they are on; others say it themselves. @type {Record<string, string>} */
const USUAL = { r: "key.retry", c: "key.cancel", e: "key.edit", "[": "key.tab_before", "]": "key.tab_after" };
/** What goes on while its key is held down; everything else happens once. */
const REPEATED = new Set(["j", "k"]);

/**
 * @typedef {object} Shortcut
 * @property {string} keys one key ("r") or two in a row ("g t")
 * @property {string} label what it does, in the reader's words
 * @property {(event?: KeyboardEvent) => void} action
 * @property {boolean} isCommand It also makes sense without a row that the keyboard is at.
 */

/** @type {Map<string, Shortcut>} */
const registry = new Map();
let first = "";
let firstAt = 0;

/**
 * Do `action` when `keys` are pressed: one key ("r") or two in a row ("g t").
 * @param {string} keys
 * @param {(event?: KeyboardEvent) => void} action
 * @param {string} [label] what it does
 * @param {{isCommand?: boolean}} [options]
 */
export function onKeys(keys, action, label = t(USUAL[keys] ?? keys), { isCommand = true } = {}) {
  registry.set(keys, { keys, action, label, isCommand });
}

/** What can be pressed on this page, in the order in which it was registered. */
export const shortcuts = () => [...registry.values()];

/** Whether single letters work: who speaks to the computer, or presses keys by accident, can switch them off (WCAG 2.1.4). */
export const areKeysOn = () => preference("keys") !== "off";

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.repeat && !REPEATED.has(event.key)) return;
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  const chord = performance.now() - firstAt < CHORD_MS ? `${first} ${event.key}` : "";
  const shortcut = registry.get(chord) ?? registry.get(event.key);
  first = event.key;
  firstAt = performance.now();
  // Enter and the space bar belong to the button or link that has the focus.
  const isElsewhere = event.key === "Enter" && event.target instanceof Element && event.target.closest("a, button, summary");
  if (!shortcut || isElsewhere || (event.key.length === 1 && !areKeysOn())) return;
  event.preventDefault();
  first = "";
  shortcut.action(event);
});
