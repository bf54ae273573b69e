// @ts-check
// How the figures of the overview look: formats of its document. The server's half is
// dispatcher/dashboard/overview_formats.py.

import { VALUE_FORMATS } from "./format.js";
import { t } from "./strings.js";
import { local, zoneLabel } from "./zone.js";

/** @typedef {import("./format.js").Format} Format */

const NAMES = new Set(["15m", "1h", "6h", "24h", "7d"]);

/** @param {number} n */
const number = (n) => VALUE_FORMATS.count(n, 0);

/** @param {Record<string, string>} params as urlencode() writes them */
function tasks(params) {
  const query = new URLSearchParams(Object.entries(params).filter(([, text]) => text));
  return `/tasks/?${query}`.replaceAll("*", "%2A").replaceAll("%7E", "~");
}

/** @param {string} time */
const stamp = (time) => `${new Date(time).toISOString().slice(0, 16)}Z`;

/** @param {any} row */
function endedIn(row) {
  if (row?.range) return `ended:<${row.range}`;
  return row?.start && row.end ? `ended:>=${stamp(row.start)} ended:<${stamp(row.end)}` : "";
}

/** @type {Format} */
function rangeName(row) {
  if (NAMES.has(row?.range)) return t(`range.${row.range}`);
  if (!row?.start || !row.end) return "";
  const [from, to] = [Date.parse(row.start), Date.parse(row.end)];
  const [first, last] = [local(from), local(to)];
  const until = first.date === last.date ? last.time.slice(0, 5) : `${last.date} ${last.time.slice(0, 5)}`;
  const zone = zoneLabel(from) === zoneLabel(to) ? "" : ` ${zoneLabel(from)}`;
  return `${first.date} ${first.time.slice(0, 5)}${zone} – ${until} ${zoneLabel(to)}`;
}

/** @type {Format} */
function failedTrend(row) {
  const { failed, failed_before: before } = row ?? {};
  if (before === null || before === undefined || failed === undefined || failed === before) return "";
  return `${failed > before ? "▲" : "▼"}${number(Math.abs(failed - before))}`;
}

/** @type {Format} */
function failedTrendWords(row, now) {
  const { failed = 0, failed_before: before = null } = row ?? {};
  if (!failedTrend(row, now)) return before === null ? "" : t("failed.same");
  return t(failed > before ? "failed.more" : "failed.fewer", { count: number(Math.abs(failed - before)) });
}

/** @param {any} row */
const stuck = (row) => ({ silent: row?.stuck?.on_silent_nodes ?? 0, overdue: row?.stuck?.overdue ?? 0, node: row?.stuck?.node });

/** @type {Format} */
function stuckNote(row) {
  const { silent, overdue, node } = stuck(row);
  if (silent && overdue) return t("stuck.both", { silent: number(silent), overdue: number(overdue) });
  if (silent) return node ? t("stuck.node", { name: node }) : t("stuck.silent");
  return t(overdue ? "stuck.overdue" : "stuck.none");
}

/** @type {Format} */
function stuckUrl(row) {
  const { silent, node } = stuck(row);
  return node || !silent ? tasks({ state: "dispatched,running", node: node ?? "" }) : "/nodes/";
}

/** @type {Format} */
function slotsShare(row) {
  const total = row?.slots_total ?? 0;
  if (!total) return t("slots.none");
  return t("slots.share", { percent: Math.floor(((row.slots_busy ?? 0) * 100) / total + 0.5), total: number(total) });
}

/** @type {Format} */
function failuresNote(row) {
  const shown = (row?.failures ?? []).reduce((/** @type {number} */ sum, /** @type {any} */ group) => sum + group.count, 0);
  const failed = row?.failed ?? 0;
  return shown >= failed ? "" : t("failures.some", { shown: number(shown), failed: number(failed) });
}

/** @type {Format} */
function failureUrl(row) {
  const [kind] = String(row?.error ?? "").split(":");
  return tasks({ state: "failed", type: row?.type ?? "", q: /^[A-Za-z_][\w.]*$/.test(kind) ? `error:${kind}` : "" });
}

/** @type {Record<string, Format>} */
export const OVERVIEW_FORMATS = {
  range_name: rangeName,
  range_short: (row) => t(NAMES.has(row?.range) ? `range.short_${row.range}` : "range.chosen"),
  failed_url: (row) => tasks({ state: "failed", q: endedIn(row) }),
  failed_trend: failedTrend,
  failed_trend_words: failedTrendWords,
  stuck_count: (row) => number(stuck(row).silent + stuck(row).overdue),
  stuck_note: stuckNote,
  stuck_url: stuckUrl,
  stuck_tone: (row) => (stuck(row).silent + stuck(row).overdue ? "bad" : ""),
  oldest_url: (row) => tasks({ state: "queued", queue: row?.oldest_wait?.queue ?? "" }),
  slots_share: slotsShare,
  failures_note: failuresNote,
  failure_url: failureUrl,
};
