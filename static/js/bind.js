// @ts-check
// Fills HTML from data by its data-bind attributes: the browser's half of dispatcher/dashboard/binding.py, which
// describes the grammar. Text goes in as text, never as HTML; only what differs is written.

import { everySecond, serverNow } from "./clock.js";
import { TICKING } from "./format.js";
import { FORMATS } from "./row_format.js";

/**
 * @typedef {object} Binding
 * @property {Element} element
 * @property {string} target
 * @property {string[]} path
 * @property {boolean} isNegated
 * @property {string} format
 * @property {unknown} last What was written last; undefined before the first time.
 */

const FLAGS = new Set(["hidden", "disabled", "checked", "open"]);

/** @type {WeakMap<Element, Binding[]>} */
const compiled = new WeakMap();
/** Filled elements that show ages, with their rows. @type {Map<Element, unknown>} */
const ticking = new Map();

/**
 * @param {Element} element
 * @returns {Binding[]}
 */
function parse(element) {
  const text = element.getAttribute("data-bind") ?? "";
  return text
    .split(";")
    .map((part) => part.trim())
    .filter(Boolean)
    .map((part) => {
      const colon = part.indexOf(":");
      const [path, format = ""] = part.slice(colon + 1).split("|");
      if (format && !(format in FORMATS)) throw new Error(`cannot read the binding "${part}"`);
      return {
        element,
        target: part.slice(0, colon),
        path: path.replace(/^!/, "").split(".").filter(Boolean),
        isNegated: path.startsWith("!"),
        format,
        last: undefined,
      };
    });
}

/**
 * The bindings of `root`, without those that belong to rows of lists within it.
 * @param {Element} root
 */
function bindingsOf(root) {
  let found = compiled.get(root);
  if (!found) {
    found = parse(root);
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT, (node) =>
      node.parentElement?.hasAttribute("data-list") ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT,
    );
    if (!root.hasAttribute("data-list")) {
      while (walker.nextNode()) found.push(...parse(/** @type {Element} */ (walker.currentNode)));
    }
    compiled.set(root, found);
  }
  return found;
}

/**
 * @param {Binding} binding
 * @param {unknown} row
 * @param {number} now
 */
function valueOf(binding, row, now) {
  /** @type {any} What a path leads to, which is known only here. */
  let value = row;
  for (const step of binding.path) value = value === null || value === undefined ? undefined : value[step];
  if (binding.isNegated) return !value || isEmpty(value);
  if (FLAGS.has(binding.target) && !binding.format) return Boolean(value) && !isEmpty(value);
  return FORMATS[binding.format || "plain"](value, now);
}

/** @param {any} value An empty list or object is nothing, as in Python. */
const isEmpty = (value) => typeof value === "object" && value !== null && !Object.keys(value).length;

/**
 * @param {Binding} binding
 * @param {unknown} value
 */
function write(binding, value) {
  const { element, target } = binding;
  if (binding.last === value) return;
  binding.last = value;
  if (target === "text") {
    if (element.textContent !== value) element.textContent = String(value);
  } else if (FLAGS.has(target)) {
    element.toggleAttribute(target, Boolean(value));
  } else if (value === "") {
    element.removeAttribute(target);
  } else if (element.getAttribute(target) !== value) {
    element.setAttribute(target, String(value));
  }
}

/**
 * Fill `root` from `row`.
 * @param {Element} root
 * @param {unknown} row
 */
export function bind(root, row) {
  const now = serverNow();
  let isTicking = false;
  for (const binding of bindingsOf(root)) {
    isTicking ||= TICKING.has(binding.format);
    write(binding, valueOf(binding, row, now));
  }
  if (isTicking) ticking.set(root, row);
}

everySecond(() => {
  const now = serverNow();
  for (const [root, row] of ticking) {
    if (!root.isConnected) {
      ticking.delete(root);
      continue;
    }
    for (const binding of bindingsOf(root)) {
      if (TICKING.has(binding.format)) write(binding, valueOf(binding, row, now));
    }
  }
});
