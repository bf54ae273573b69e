// @ts-check
// What can be typed next into a query: pure functions over its text. The server's parser has the last word.

/** @typedef {{name: string, meaning: string, example: string, values: string[]}} Key */
/** @typedef {{text: string, note: string, isKey: boolean}} Choice */
/** @typedef {{start: number, end: number, key: string, typed: string}} Token */

const MOST = 12;

/**
 * What stands before the caret and would be replaced by a choice: the beginning of a key, or of one value of `key`.
 * @param {string} text
 * @param {number} caret
 * @returns {Token}
 */
export function tokenAt(text, caret) {
  let start = 0;
  let isQuoted = false;
  for (let at = 0; at < caret; at += 1) {
    if (text[at] === "\\" && isQuoted) at += 1;
    else if (text[at] === '"') isQuoted = !isQuoted;
    else if (!isQuoted && /\s/.test(text[at])) start = at + 1;
  }
  if (text[start] === "-") start += 1;
  const term = text.slice(start, caret);
  const colon = term.startsWith('"') ? -1 : term.indexOf(":");
  if (colon < 0) return { start, end: caret, key: "", typed: term };
  const comma = isQuoted ? -1 : term.lastIndexOf(",");
  const begins = start + Math.max(colon, comma) + 1;
  return { start: begins, end: caret, key: term.slice(0, colon).toLowerCase(), typed: text.slice(begins, caret) };
}

/**
 * What may be meant, best first.
 * @param {Token} token
 * @param {Key[]} keys
 * @returns {Choice[]}
 */
export function choices(token, keys) {
  const typed = token.typed.replace(/^"/, "").toLowerCase();
  if (token.key) {
    const values = keys.find((key) => key.name === token.key)?.values ?? [];
    return ranked(values, typed, (value) => value).map((value) => ({ text: quoted(value), note: "", isKey: false }));
  }
  return ranked(keys, typed, (key) => key.name).map(({ name, meaning, example }) => ({
    text: name.endsWith(".") ? name : `${name}:`,
    note: meaning || example,
    isKey: true,
  }));
}

/**
 * The text with the choice in place of the token, and where the caret is then.
 * @param {string} text
 * @param {Token} token
 * @param {Choice} choice
 */
export function applied(text, token, choice) {
  const after = text.slice(token.end);
  const gap = choice.isKey || /^[\s,]/.test(after) ? "" : " ";
  const before = text.slice(0, token.start) + choice.text + gap;
  return { text: before + after, caret: before.length };
}

/**
 * @template T
 * @param {T[]} all
 * @param {string} typed
 * @param {(one: T) => string} nameOf
 */
function ranked(all, typed, nameOf) {
  const place = (/** @type {T} */ one) => nameOf(one).toLowerCase().indexOf(typed);
  const found = all.filter((one) => place(one) >= 0 && nameOf(one).toLowerCase() !== typed);
  return found.sort((one, other) => Math.min(place(one), 1) - Math.min(place(other), 1)).slice(0, MOST);
}

/** @param {string} value */
function quoted(value) {
  return /[\s,"\\]|^[<>=]/.test(value) ? `"${value.replace(/["\\]/g, "\\$&")}"` : value;
}
