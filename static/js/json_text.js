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
