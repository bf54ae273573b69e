// @ts-check
// How nodes look on their pages. The server's half is dispatcher/dashboard/node_formats.py.

import { DASH, VALUE_FORMATS, icon, isNone, span, word } from "./format.js";
import { has, t } from "./strings.js";

/** @typedef {import("./format.js").Format} Format */

/** The side of a node's square on the map, in its own units. */
const CELL = 16;

/** @type {Format} */
const drainNote = (row, now) => {
  const n = row?.held ?? 0;
  if (!n || !(row.intent === "drain" || row.draining)) return "";
  if (isNone(row.drain_until)) return t("node.left", { n });
  const seconds = (Date.parse(row.drain_until) - now) / 1000;
  return seconds > 0 ? t("node.left_until", { n, span: span(seconds) }) : t("node.left_late", { n });
};

/** @type {Format} */
const heartbeat = (row, now) =>
  VALUE_FORMATS.ago(row?.last_seen_at, now) || (row?.state === "online" ? t("node.on_time") : DASH);

/** @type {Format} */
const heartbeatWords = (row, now) => {
  const ago = VALUE_FORMATS.ago(row?.last_seen_at, now);
  return t(ago ? "node.heard" : "node.unheard", { ago });
};

/** @type {Format} */
const slotsWords = (row) =>
  t(row?.waiting_on_node ? "node.slots_more" : "node.slots", { busy: row?.busy ?? 0, slots: row?.slots ?? 0, more: row?.waiting_on_node ?? 0 });

/** @param {any} row */
function filled(row) {
  const slots = Math.max(row?.slots ?? 1, 1);
  return Math.round((CELL * Math.min(row?.busy ?? 0, slots) * 10) / slots) / 10;
}

/** @param {string} status @returns {Format} */
const unless = (status) => (value) => (value === status ? "" : "1");

/** @type {Record<string, string>} */
const EVENT_ICONS = {
  "node.registered": "plug",
  "node.online": "online",
  "node.suspected": "suspect",
  "node.went_offline": "offline",
  "node.draining": "draining",
  "node.resumed": "play",
  "node.disabled": "disabled",
  "node.breaker_changed": "zap",
  "node.held": "offline-link",
  "node.made_up_results": "warning",
};

/** @type {Record<string, Format>} */
export const NODE_FORMATS = {
  drain_note: drainNote,
  heartbeat,
  heartbeat_words: heartbeatWords,
  slots_words: slotsWords,
  cell_height: (row) => String(filled(row)),
  cell_top: (row) => String(Math.round((CELL - filled(row)) * 10) / 10),
  cell_label: (row, now) =>
    t("node.cell", {
      name: row?.name ?? "",
      status: word(row?.status, now),
      busy: row?.busy ?? 0,
      slots: row?.slots ?? 0,
    }),
  cell_mark: (row, now) => (row?.status === "online" ? "" : icon(row?.status, now)),
  is_disabled: (row) => (row?.intent === "disabled" ? "1" : ""),
  not_offline: unless("offline"),
  not_suspect: unless("suspect"),
  not_breaker: unless("breaker"),
  not_trial: unless("trial"),
  not_drained: unless("drained"),
  not_disabled: unless("disabled"),
  is_calm: (value) => (value ? "" : "1"),
  event_word: (kind) => (has(`event.${kind}`) ? t(`event.${kind}`) : String(kind ?? "")),
  event_reason: (text) => (has(`said.${text}`) ? t(`said.${text}`) : (text ?? "")),
  event_icon: (kind, now) => (kind ? icon(EVENT_ICONS[kind] ?? "activity", now) : ""),
};
