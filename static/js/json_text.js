// @ts-check
// JSON as text: laid out and coloured without being parsed into numbers, so that every digit stays as it was sent.

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:]/gy;
const BLANK = /\s+/y;

/**
 * The tokens of JSON text; null if it is not JSON.
 * @param {string} text
 * @returns {string[] | null}
 */
export function tokens(text) {
  const found = [];
  let at = 0;
  while (at < text.length) {
    BLANK.lastIndex = at;
    if (BLANK.test(text)) {
      at = BLANK.lastIndex;
      continue;
    }
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (!match) return null;
    found.push(match[0]);
    at = TOKEN.lastIndex;
  }
  return found;
}

/**
 * JSON text laid out with two blanks per level, as pieces [kind, text]; kind is "" for blanks and signs.
 * @param {string} text
 * @returns {[string, string][] | null}
 */
export function laidOut(text) {
  const all = tokens(text);
  if (!all) return null;
  /** @type {[string, string][]} */
  const pieces = [];
  let depth = 0;
  const newLine = () => pieces.push(["", `\n${"  ".repeat(depth)}`]);
  all.forEach((token, i) => {
    const next = all[i + 1];
    if (token === "{" || token === "[") {
      pieces.push(["", token]);
      depth += 1;
      if (next !== "}" && next !== "]") newLine();
    } else if (token === "}" || token === "]") {
      depth = Math.max(depth - 1, 0);
      if (all[i - 1] !== "{" && all[i - 1] !== "[") newLine();
      pieces.push(["", token]);
    } else if (token === ",") {
      pieces.push(["", token]);
      newLine();
    } else {
      pieces.push(token === ":" ? ["", ": "] : [kindOf(token, next), token]);
    }
  });
  return pieces;
}

/**
 * Where the value ends that begins at a token.
 * @param {string[]} all
 * @param {number} at
 */
function endOf(all, at) {
  let depth = 0;
  do {
    if (all[at] === "{" || all[at] === "[") depth += 1;
    else if (all[at] === "}" || all[at] === "]") depth -= 1;
    at += 1;
  } while (depth && at < all.length);
  return at;
}

/**
 * A value within JSON text, as it is written, and its path ($.frames[3]["a b"]).
 * @param {string} text
 * @param {number[]} places counted from 0 in lists and objects alike
 * @returns {{path: string, value: string}}
 */
export function partAt(text, places) {
  const all = tokens(text) ?? [];
  let path = "$";
  let at = 0;
  for (const place of places) {
    const isList = all[at] === "[";
    const skipped = isList ? 0 : 2;
    at += 1;
    for (let n = 0; n < place; n += 1) at = endOf(all, at + skipped) + 1;
    const key = all[at] ?? "";
    if (isList) path += `[${place}]`;
    else path += /^"[A-Za-z_]\w*"$/.test(key) ? `.${key.slice(1, -1)}` : `[${key}]`;
    at += skipped;
  }
  return { path, value: all.slice(at, endOf(all, at)).join("") };
}

/** JSON text laid out; as it is if it is not JSON. @param {string} text */
export const pretty = (text) => laidOut(text)?.map(([, piece]) => piece).join("") ?? text;

/** @param {string} token @param {string | undefined} next */
function kindOf(token, next) {
  if (token[0] === '"') return next === ":" ? "key" : "string";
  return /[-\d]/.test(token[0]) ? "number" : "word";
}

/**
 * Show JSON text in `element`, laid out and coloured; as it is if it is not JSON or very large.
 * @param {HTMLElement} element
 * @param {string} text
 */
export function showJson(element, text) {
  const pieces = text.length < 200_000 ? laidOut(text) : null;
  if (!pieces) {
    element.textContent = text;
    return;
  }
  element.replaceChildren(
    ...pieces.map(([kind, piece]) => {
      if (!kind) return document.createTextNode(piece);
      const span = document.createElement("span");
      span.className = `j-${kind}`;
      span.textContent = piece;
      return span;
    }),
  );
}
