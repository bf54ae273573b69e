// @ts-check
// Many payloads out of pasted text: one JSON value a line, or CSV with the names of members in the first line. Pure.

/** @typedef {{line: number, json: string}} Row */
/** @typedef {{line: number, key: string, values?: Record<string, any>}} BadLine key: of strings.js */

const LITERAL = /^(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)$/;

/**
 * The payloads in the text, and the lines that are none.
 * @param {string} text
 * @param {"jsonl" | "csv"} form
 * @param {any} [schema] of the payload: members that are texts by it stay texts in CSV
 * @returns {{rows: Row[], bad: BadLine[]}}
 */
export const rowsOf = (text, form, schema) => (form === "csv" ? csvRows(text, schema) : jsonRows(text));

/** Which of the two it is. @param {string} text @returns {"jsonl" | "csv"} */
export const formOf = (text) => (/^\s*(?:[[{"\d-]|true|false|null)/.test(text) && !/^\s*"[^"]*"\s*,/.test(text) ? "jsonl" : "csv");

/** @param {string} text */
function jsonRows(text) {
  /** @type {Row[]} */
  const rows = [];
  /** @type {BadLine[]} */
  const bad = [];
  text.split("\n").forEach((one, index) => {
    const json = one.trim();
    if (!json) return;
    try {
      JSON.parse(json);
      rows.push({ line: index + 1, json });
    } catch (problem) {
      bad.push({ line: index + 1, key: "submit.json_bad", values: { message: problem instanceof Error ? problem.message : "" } });
    }
  });
  return { rows, bad };
}

/** @param {string} text @param {any} schema */
function csvRows(text, schema) {
  const { records: [head, ...records], unread } = recordsOf(text);
  /** @type {Row[]} */
  const rows = [];
  /** @type {BadLine[]} */
  const bad = [];
  if (unread) bad.push({ line: unread, key: "many.quotes" });
  if (!head) return { rows, bad };
  const names = head.cells.map((name) => name.trim());
  for (const { line, cells } of records) {
    if (cells.length !== names.length) {
      bad.push({ line, key: "many.cells", values: { n: cells.length, wanted: names.length } });
      continue;
    }
    const parts = cells.flatMap((cell, i) => (cell === "" ? [] : [`${JSON.stringify(names[i])}:${cellOf(cell, schema?.properties?.[names[i]])}`]));
    rows.push({ line, json: `{${parts.join(",")}}` });
  }
  return { rows, bad };
}

/** A number or a literal as it stands, unless the schema says text; anything else is text. @param {string} cell @param {any} part */
function cellOf(cell, part) {
  return LITERAL.test(cell) && part?.type !== "string" ? cell : JSON.stringify(cell);
}

/** Records of CSV as RFC 4180 has it: quotes are doubled, and hold commas and line ends. @param {string} text */
function recordsOf(text) {
  /** @type {{line: number, cells: string[]}[]} */
  const records = [];
  const piece = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/gy;
  let cells = /** @type {string[]} */ ([]);
  let start = 1;
  let line = 1;
  for (let found = piece.exec(text); found; found = piece.exec(text)) {
    cells.push(found[1] === undefined ? found[2].trim() : found[1].replaceAll('""', '"'));
    line += found[0].split("\n").length - 1;
    if (found[3] !== ",") {
      if (cells.length > 1 || cells[0] !== "") records.push({ line: start, cells });
      cells = [];
      start = line;
    }
    if (piece.lastIndex >= text.length && found[3] !== ",") return { records, unread: 0 };
  }
  // A quote that stands within a value, or is not closed: nothing behind it can be read.
  return { records, unread: line };
}
