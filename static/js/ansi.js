// @ts-check
// What terminals obey, in log lines: colours become classes of our own, everything else is left out. Pure.

// Whole escape sequences (CSI, OSC, two characters), and control characters but for tab and line feed.
const ESCAPE = /\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])?|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;
const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/**
 * Text in pieces [classes, text] by its colours.
 * @param {string} text
 * @returns {[string, string][]}
 */
export function pieces(text) {
  /** @type {[string, string][]} */
  const found = [];
  const style = { colour: "", bold: false, dim: false };
  let at = 0;
  for (const match of text.matchAll(ESCAPE)) {
    push(found, style, text.slice(at, match.index));
    at = match.index + match[0].length;
    if (match[2] === "m") obey(style, match[1]);
  }
  push(found, style, text.slice(at));
  return found;
}

/** Text without what terminals obey. @param {string} text */
export const plain = (text) => text.replace(ESCAPE, "");

/**
 * @param {[string, string][]} found
 * @param {{colour: string, bold: boolean, dim: boolean}} style
 * @param {string} text
 */
function push(found, { colour, bold, dim }, text) {
  if (!text) return;
  const classes = [colour && `ansi-${colour}`, bold && "ansi-bold", dim && "ansi-dim"].filter(Boolean).join(" ");
  const last = found.at(-1);
  if (last && last[0] === classes) last[1] += text;
  else found.push([classes, text]);
}

/**
 * @param {{colour: string, bold: boolean, dim: boolean}} style
 * @param {string} codes "1;31"
 */
function obey(style, codes) {
  const numbers = codes.split(";").map(Number);
  for (let i = 0; i < numbers.length; i += 1) {
    const code = numbers[i];
    if (code === 0) Object.assign(style, { colour: "", bold: false, dim: false });
    else if (code === 1) style.bold = true;
    else if (code === 2) style.dim = true;
    else if (code === 22) style.bold = style.dim = false;
    else if (code === 39) style.colour = "";
    else if (code >= 30 && code <= 37) style.colour = COLOURS[code - 30];
    else if (code >= 90 && code <= 97) style.colour = COLOURS[code - 90];
    // A colour of 256 or of 16 million: none of ours, its numbers are no codes.
    else if (code === 38 || code === 48) i += numbers[i + 1] === 2 ? 4 : 2;
  }
}
