// @ts-check
// Documents of live topics: how a delta becomes a new document. Pure, and the same rules as docs/live_protocol.md.

/** @import { DeltaFrame, RowChanges } from "./types.d.ts" */

/** @typedef {Record<string, any>} Row of whatever list; which members it has is the business of who shows it */

/**
 * What is known of a topic.
 * @template [D=unknown]
 * @typedef {object} Known
 * @property {D} document
 * @property {string} epoch
 * @property {number} seq
 */

export const LOG_LINES = 200;

/** @param {string} a @param {string} b Ids are numbers of any length. */
const byNumber = (a, b) => a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);

/** @param {string} a @param {string} b By code point, as the server sorts. */
function byText(a, b) {
  const left = [...a];
  const right = [...b];
  for (let i = 0; i < Math.min(left.length, right.length); i += 1) {
    const difference = (left[i].codePointAt(0) ?? 0) - (right[i].codePointAt(0) ?? 0);
    if (difference) return difference;
  }
  return left.length - right.length;
}

/** @param {Row} row */
const attemptPlace = (row) => (row.id === "current" ? Infinity : row.number);

/** @type {Record<string, (a: Row, b: Row) => number>} */
const ORDERS = {
  series: (a, b) => byText(a.minute, b.minute),
  nodes: (a, b) => (a.rank ?? 0) - (b.rank ?? 0) || byText(a.name, b.name),
  cells: (a, b) => (a.rank ?? 0) - (b.rank ?? 0) || byText(a.name, b.name),
  events: (a, b) => byNumber(b.id, a.id),
  queues: (a, b) => byText(a.name, b.name),
  rows: (a, b) => byNumber(b.id, a.id),
  tasks: (a, b) => byNumber(b.id, a.id),
  attempts: (a, b) => (attemptPlace(a) === attemptPlace(b) ? byNumber(a.id, b.id) : attemptPlace(a) - attemptPlace(b)),
  logs: (a, b) => a.attempt - b.attempt || a.n - b.n,
};

/**
 * @param {Row[]} rows
 * @param {RowChanges} change
 * @param {string} list
 */
function changed(rows, change, list) {
  const { key, upsert, remove } = change;
  const byKey = new Map(rows.map((row) => [row[key], row]));
  for (const gone of remove) byKey.delete(gone);
  for (const row of upsert) byKey.set(row[key], row);
  const next = [...byKey.values()];
  if (ORDERS[list]) next.sort(ORDERS[list]);
  return list === "logs" ? next.slice(-LOG_LINES) : next;
}

/**
 * What is known after a snapshot.
 * @param {{data: unknown, epoch?: string, seq?: number}} frame without epoch and seq if it did not come by a websocket
 * @returns {Known}
 */
export const fromSnapshot = (frame) => ({ document: frame.data, epoch: frame.epoch ?? "", seq: frame.seq ?? -1 });

/**
 * What is known after a delta; "gap" if a snapshot is needed, "old" if it says nothing new.
 * @param {Known | null} known
 * @param {DeltaFrame} delta
 * @returns {Known | "gap" | "old"}
 */
export function afterDelta(known, delta) {
  if (!known || known.epoch !== delta.epoch) return "gap";
  if (delta.seq <= known.seq) return "old";
  if (delta.from !== known.seq) return "gap";
  const before = /** @type {Record<string, any>} */ (known.document);
  /** @type {Record<string, unknown>} */
  const document = { ...before, ...delta.data };
  for (const [list, change] of Object.entries(delta.rows ?? {})) {
    document[list] = changed(before[list] ?? [], change, list);
  }
  return { document, epoch: delta.epoch, seq: delta.seq };
}
