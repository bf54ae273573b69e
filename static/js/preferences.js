// @ts-check
// The reader's choices as theme.js has put them onto <html>, and a way to keep another one.

/** @typedef {"theme" | "density" | "keys" | "announce" | "pace" | "range" | "zone"} Name */

/**
 * What was chosen; "" is the default.
 * @param {Name} name
 */
export const preference = (name) => (typeof document === "undefined" ? "" : (document.documentElement.dataset[name] ?? ""));

/**
 * Keep a choice, for this browser and all its tabs.
 * @param {Name} name
 * @param {string} value
 */
export const remember = (name, value) => void dispatchEvent(new CustomEvent("taskdist-remember", { detail: { name, value } }));
