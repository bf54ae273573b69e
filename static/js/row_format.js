// @ts-check
// How tasks, nodes and queues look: formats that take a whole row. The server's half is
// dispatcher/dashboard/row_formats.py.

import { BULK_FORMATS } from "./bulk_format.js";
import { DASH, VALUE_FORMATS, due, duration, elapsed, icon, isNone, word } from "./format.js";
import { NODE_FORMATS } from "./node_format.js";
import { OVERVIEW_FORMATS } from "./overview_format.js";
import { has, t } from "./strings.js";

/** @typedef {import("./format.js").Format} Format */

const CELL_PX = 14;
const MAX_CELLS = 32;
// Flags (hidden) are texts here: anything but nothing is true.
const YES = "1";
const NO = "";

/** @type {Format} */
const taskState = (row) => {
  const state = row?.state ?? "";
  if (state === "scheduled" && row.attempt > 0) return "retrying";
  if ((state === "dispatched" || state === "running") && row.cancel_requested) return "cancelling";
  return state;
};

/** @type {Format} */
const nodeState = (row) => {
  const state = row?.state ?? "";
  if (row?.intent === "disabled") return "disabled";
  if (state === "offline" || state === "suspect") return state;
  return row?.intent === "drain" || row?.draining ? "draining" : state;
};

/**
 * How many px of cells stand for `value` of `slots`; anything above zero shows at least one cell.
 * @param {number} value
 * @param {number} slots
 */
function cells(value, slots) {
  if (slots <= MAX_CELLS) return Math.min(value, slots) * CELL_PX;
  return Math.min(Math.ceil((value * MAX_CELLS) / slots), MAX_CELLS) * CELL_PX;
}

/** @type {Format} */
const toneNodes = (row) => {
  const online = row?.nodes_online ?? 0;
  if (online >= (row?.nodes_total ?? 0)) return "";
  return online ? "warn" : "bad";
};

/** @type {Format} */
const nodesNote = (row) => {
  const missing = (row?.nodes_total ?? 0) - (row?.nodes_online ?? 0);
  if (missing > 0) return t("nodes.missing", { n: missing });
  return t(row?.nodes_total ? "nodes.all" : "nodes.none");
};

/** @param {any} start @param {any} end */
const between = (start, end) => (start && end ? duration(Date.parse(end) - Date.parse(start), 0) : DASH);

/** @type {Format} */
const attemptWaited = (row) => between(row?.queued_at, row?.started_at);

/** @type {Format} */
const attemptRan = (row, now) =>
  row?.outcome === "running" ? elapsed(row.started_at, now) : between(row?.started_at, row?.ended_at);

/** @type {Format} */
const attemptSent = (row, now) =>
  row?.outcome === "dispatched" ? elapsed(row.dispatched_at, now) : between(row?.dispatched_at, row?.started_at ?? row?.ended_at);

/** Where there are any: a task that failed within milliseconds has its times on its attempt only. @param {any} row */
const lastAttempt = (row) => (row?.finished_at ? row.attempts?.at(-1) : undefined);

/** @type {Format} */
const waited = (row, now) => {
  if (row?.state === "scheduled") return due(row.run_at, now);
  if (row?.state === "queued") return elapsed(row.queued_at, now);
  return isNone(row?.wait_ms) ? attemptWaited(lastAttempt(row), now) : duration(row.wait_ms, now);
};

/** @type {Format} */
const ranFor = (row, now) => {
  if (!isNone(row?.run_ms)) return duration(row.run_ms, now);
  return row?.state === "running" && row.started_at ? elapsed(row.started_at, now) : attemptRan(lastAttempt(row), now);
};

/** @type {Format} */
const queueState = (row) => {
  if (row?.paused) return "paused";
  if (row?.active) return "running";
  return row?.depth ? "waiting" : "idle";
};

/** @type {Format} */
const queueEta = (row, now) => {
  const depth = row?.depth ?? 0;
  if (!depth || row.paused) return DASH;
  const perMinute = (row.out_per_minute ?? 0) - (row.in_per_minute ?? 0);
  if (perMinute > 0) return duration((depth / perMinute) * 60_000, now);
  return perMinute ? t("queue.eta_never") : "∞";
};

/** @type {Format} */
const hasTasks = (row) => (Object.values(row?.counts ?? {}).some(Boolean) ? YES : NO);

/** @type {Format} */
const eventWords = (row, now) => {
  const { kind = "", actor = "" } = row ?? {};
  const key = [actor && `event.${kind}_by`, `event.${kind}`].find((one) => one && has(one));
  if (!key) return word(kind, now);
  return t(key, { actor, node: row.node ?? DASH, until: VALUE_FORMATS.moment(row.until, now) });
};

/** @type {Record<string, Format>} */
export const FORMATS = {
  ...VALUE_FORMATS,
  ...BULK_FORMATS,
  ...NODE_FORMATS,
  ...OVERVIEW_FORMATS,
  task_state: taskState,
  task_word: (row, now) => word(taskState(row, now), now),
  task_icon: (row, now) => icon(taskState(row, now), now),
  node_state: nodeState,
  node_word: (row, now) => word(nodeState(row, now), now),
  node_icon: (row, now) => icon(nodeState(row, now), now),
  slots_width: (row) => String(cells(row?.slots ?? 0, row?.slots ?? 0)),
  slots_box: (row) => `0 0 ${cells(row?.slots ?? 0, row?.slots ?? 0)} ${CELL_PX}`,
  busy_width: (row) => String(cells(row?.busy ?? 0, row?.slots ?? 0)),
  slots_note: (row) => `${row?.busy ?? 0}/${row?.slots ?? 0}`,
  tone_nodes: toneNodes,
  nodes_note: nodesNote,
  failure_key: (row) => `${row?.type ?? ""} ${row?.error ?? ""}`,
  not_due: (row) => (row?.state === "scheduled" && row.run_at ? NO : YES),
  nodes_more: (count) => t("waiting.more", { n: count ?? 0 }),
  tries: (row) => `${row?.counted_attempts ?? 0}/${row?.max_attempts ?? 0}`,
  waited,
  ran_for: ranFor,
  attempt_waited: attemptWaited,
  attempt_ran: attemptRan,
  attempt_queued: (row) => between(row?.queued_at, row?.dispatched_at),
  attempt_sent: attemptSent,
  attempt_backoff: (row) => (Date.parse(row?.retry_at) > Date.parse(row?.ended_at) ? between(row.ended_at, row.retry_at) : DASH),
  relation: (value) => t(`relation.${value}`),
  cause: (value) => t(value?.is_more ? "cause.more" : "cause.some", { n: value?.count ?? 0 }),
  breaker_closed: (row) => (row?.breaker === "open" || row?.breaker === "half_open" ? NO : YES),
  cannot_drain: (row) => (row?.intent === "run" ? NO : YES),
  cannot_resume: (row) => (row?.intent === "drain" || row?.intent === "disabled" ? NO : YES),
  queue_state: queueState,
  queue_word: (row, now) => word(queueState(row, now), now),
  queue_icon: (row, now) => icon(queueState(row, now), now),
  queue_eta: queueEta,
  type_nodes_tone: (row) => (row?.nodes_online ? "" : "warn"),
  event_words: eventWords,
  has_tasks: hasTasks,
  has_no_tasks: (row, now) => (hasTasks(row, now) ? NO : YES),
};

/**
 * A value by the format called `name`.
 * @param {string} name
 * @param {any} value
 * @param {number} now
 */
export const format = (name, value, now) => FORMATS[name](value, now);
