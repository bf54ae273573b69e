// @ts-check
// Keyboard shortcuts. Nothing happens while somebody types or a dialog is open.

import { isTyping } from "./dom.js";
import { preference } from "./preferences.js";

const CHORD_MS = 1200;
/** What goes on while its key is held down; everything else happens once. */
const REPEATED = new Set(["j", "k"]);

/** @type {Map<string, (event: KeyboardEvent) => void>} */
const actions = new Map();
let first = "";
let firstAt = 0;

/**
 * Do `action` when `keys` are pressed: one key ("r") or two in a row ("g t").
 * @param {string} keys
 * @param {(event: KeyboardEvent) => void} action
 */
export const onKeys = (keys, action) => void actions.set(keys, action);

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  // Who speaks to the computer, or presses keys by accident, can switch off all that are one character (WCAG 2.1.4).
  if (event.key.length === 1 && preference("keys") === "off") return;
  if (event.repeat && !REPEATED.has(event.key)) return;
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  const chord = performance.now() - firstAt < CHORD_MS ? `${first} ${event.key}` : "";
  const action = actions.get(chord) ?? actions.get(event.key);
  first = event.key;
  firstAt = performance.now();
  // Enter and the space bar belong to the button or link that has the focus.
  if (!action || (event.key === "Enter" && event.target instanceof Element && event.target.closest("a, button, summary"))) {
    return;
  }
  event.preventDefault();
  first = "";
  action(event);
});
