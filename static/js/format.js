// @ts-check
// How values look on a page: the browser's half of dispatcher/dashboard/formats.py, for rows see
// row_format.js. Both halves are held together by tests/format_cases.json. Every format takes a value and the time (ms) and returns text.

import { plain as withoutEscapes } from "./ansi.js";
import { has, language, t } from "./strings.js";
import { local, zoneLabel } from "./zone.js";

export const DASH = "–";
const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;
const SPARK_WIDTH = 120;
const SPARK_HEIGHT = 24;

/** @typedef {(value: any, now: number) => string} Format */

/** @param {any} value */
export const isNone = (value) => value === null || value === undefined || value === "";

/** @param {number} n A number with one decimal, none if it is zero. */
const decimal = (n) => n.toFixed(1).replace(/\.0$/, "");

/**
 * Seconds since a time; negative for the future.
 * @param {any} value ISO 8601
 * @param {number} now
 */
function secondsSince(value, now) {
  const at = isNone(value) ? NaN : Date.parse(value);
  return Number.isFinite(at) ? (now - at) / 1000 : null;
}

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS_OF_TIME = [["day", DAY], ["hour", HOUR], ["minute", MINUTE], ["second", 1]];
/** @type {Map<string, Intl.NumberFormat>} */
const lengths = new Map();
const together = new Intl.ListFormat(language, { type: "unit", style: "narrow" });
const relative = new Intl.RelativeTimeFormat(language, { style: "narrow" });

/** "5m", "5分钟" @param {number} n @param {string} unit */
function inUnit(n, unit) {
  const known = lengths.get(unit) ?? new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "narrow", maximumFractionDigits: 1 });
  lengths.set(unit, known);
  return known.format(n);
}

/** A length of time in its largest unit, rounded down. @param {number} seconds @returns {[number, Intl.RelativeTimeFormatUnit]} */
function rough(seconds) {
  const [unit, size] = UNITS_OF_TIME.find(([, least]) => seconds >= least) ?? ["second", 1];
  return [Math.floor(seconds / size), unit];
}

/** @param {number} seconds */
export const span = (seconds) => inUnit(...rough(seconds));

/** @type {Format} */
const plain = (value) => {
  if (isNone(value) || value === false) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
};

/** @param {[number, Intl.RelativeTimeFormatUnit]} length @param {number} sign */
const fromNow = ([n, unit], sign) => relative.format(sign * n, unit);

/** @type {Format} */
const ago = (value, now) => {
  const seconds = secondsSince(value, now);
  if (seconds === null) return "";
  return seconds < 1 ? t("time.just_now") : fromNow(rough(seconds), -1);
};

/** @type {Format} */
export const due = (value, now) => {
  const seconds = secondsSince(value, now);
  if (seconds === null) return "";
  return seconds > -1 ? t("time.now") : fromNow(rough(-seconds), 1);
};

/** @type {Format} */
export const duration = (value) => {
  if (isNone(value)) return DASH;
  const ms = Number(value);
  if (ms < 1) return `<${inUnit(1, "millisecond")}`;
  if (Math.round(ms) < 1000) return inUnit(Math.round(ms), "millisecond");
  if (ms < 59950) return inUnit(Number(decimal(ms / 1000)), "second");
  const seconds = Math.round(ms / 1000);
  const place = UNITS_OF_TIME.findIndex(([, size]) => seconds >= size);
  const [[unit, size], [smaller, part]] = UNITS_OF_TIME.slice(place);
  const rest = Math.floor((seconds % size) / part);
  return together.format([inUnit(Math.floor(seconds / size), unit), ...(rest ? [inUnit(rest, smaller)] : [])]);
};

/** @type {Format} */
export const elapsed = (value, now) => {
  const seconds = secondsSince(value, now);
  return seconds === null ? "" : duration(Math.floor(Math.max(seconds, 0)) * 1000, now);
};

/** @type {Format} */
const durationSeconds = (value, now) => duration(isNone(value) ? null : Number(value) * 1000, now);

/** A time in full, with its zone. @type {Format} */
const moment = (value) => {
  const ms = new Date(isNone(value) ? NaN : value).getTime();
  if (Number.isNaN(ms)) return "";
  const { date, time } = local(ms);
  return `${date} ${time} ${zoneLabel(ms)}`;
};

/** The time of day with milliseconds, for log lines. @type {Format} */
const logTime = (value) => {
  const ms = new Date(isNone(value) ? NaN : value).getTime();
  return Number.isNaN(ms) ? "" : `${local(ms).time}.${String(ms - Math.floor(ms / 1000) * 1000).padStart(3, "0")}`;
};

/** @type {Format} */
const iso = (value) => (isNone(value) ? "" : String(value));

/** Rounds halves to even, as the server does. @param {number} n */
const rounded = (n) => (Math.abs(n % 1) === 0.5 ? 2 * Math.round(n / 2) : Math.round(n));

const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });

/** @type {Format} */
const count = (value) => (isNone(value) ? DASH : whole.format(rounded(Number(value))));

/** Units that large numbers are counted in: [from here on, size]. Their names are texts. */
const UNITS = language.toLowerCase().startsWith("zh")
  ? [[100_000_000, 100_000_000], [10_000, 10_000]]
  : [[1_000_000, 1_000_000], [10_000, 1000]];

/** @type {Format} */
const compact = (value, now) => {
  if (isNone(value)) return "";
  const place = UNITS.findIndex(([from]) => value >= from);
  return place < 0 ? count(value, now) : t(`number.${["large", "small"][place]}`, { amount: decimal(value / UNITS[place][1]) });
};

/** @type {Format} */
const rate = (value, now) => {
  if (isNone(value)) return DASH;
  return value < 9.95 ? decimal(Number(value)) : count(value, now);
};

/** A number a minute as one a second. @type {Format} */
const perSecond = (value, now) => {
  if (isNone(value)) return DASH;
  return value < 60 ? String(Number((value / 60).toFixed(2))) : rate(value / 60, now);
};

/** @type {Format} */
const share = (value) => {
  if (isNone(value)) return DASH;
  const percents = Number(value) * 100;
  if (percents > 0 && percents < 0.1) return "<0.1%";
  return `${percents < 9.95 ? (Math.floor(percents * 10 + 0.5) / 10).toFixed(1).replace(/\.0$/, "") : Math.floor(percents + 0.5)}%`;
};

/** @type {Format} */
const percent = (value) => (isNone(value) ? "" : `${Math.floor(Number(value) * 100 + 0.5)}%`);

/** @type {Format} */
const fraction = (value) => (isNone(value) ? "" : Number(value).toFixed(3));

/** @type {Format} */
export const word = (value) => (has(`state.${value}`) ? t(`state.${value}`) : plain(value, 0));

/** @type {Record<string, string>} */
const ICONS = {
  cancelling: "cancel",
  timed_out: "timer",
  crashed: "zap",
  lost: "offline",
  rejected: "cancelled",
  released: "retrying",
  superseded: "cancelled",
  paused: "pause",
  waiting: "queued",
  idle: "check",
  closed: "online",
  open: "zap",
  half_open: "suspect",
  drained: "check",
  breaker: "zap",
  trial: "timer",
  refusing: "offline-link",
};

/** @type {Format} */
export const icon = (value) => {
  if (isNone(value)) return "";
  const sprite = typeof document === "undefined" ? "/static/icons/icons.svg" : document.documentElement.dataset.icons;
  return `${sprite}#${ICONS[value] ?? value}`;
};

/** @type {Format} */
const labels = (value) => {
  if (isNone(value)) return "";
  if (Array.isArray(value)) return value.join(", ");
  return Object.keys(value)
    .sort()
    .map((name) => `${name}=${value[name]}`)
    .join(", ");
};

/** @param {any} values */
function sparkPoints(values) {
  const numbers = Array.isArray(values) ? values.map(Number) : [];
  if (numbers.length < 2) return [];
  const top = Math.max(...numbers, 1);
  const step = SPARK_WIDTH / (numbers.length - 1);
  const height = SPARK_HEIGHT - 2;
  return numbers.map((n, i) => `${(i * step).toFixed(1)},${(1 + height - (height * n) / top).toFixed(1)}`);
}

/** @type {Format} */
const breakerTitle = (value) => (value === "open" || value === "half_open" ? t(`breaker.${value}`) : "");

/** Formats whose text changes as time goes by. */
export const TICKING = new Set(["ago", "ago_or_dash", "due", "elapsed", "elapsed_or_dash", "waited", "ran_for", "attempt_ran", "attempt_sent", "drain_note", "heartbeat", "heartbeat_words"]);

/** @type {Record<string, Format>} */
export const VALUE_FORMATS = {
  plain,
  or_dash: (value, now) => plain(value, now) || DASH,
  ago,
  ago_or_dash: (value, now) => ago(value, now) || DASH,
  due,
  elapsed,
  elapsed_or_dash: (value, now) => elapsed(value, now) || DASH,
  duration,
  duration_seconds: durationSeconds,
  moment,
  log_time: logTime,
  log_text: (value, now) => withoutEscapes(plain(value, now)),
  iso,
  count,
  compact,
  rate,
  per_second: perSecond,
  percent,
  share,
  type_url: (value) => (isNone(value) ? "" : `/types/${encodeURIComponent(value)}/`),
  type_tasks_url: (value) => (isNone(value) ? "" : `/tasks/?type=${encodeURIComponent(value)}`),
  submit_url: (value) => (isNone(value) ? "" : `/submit/?type=${encodeURIComponent(value)}`),
  fraction,
  word,
  icon,
  task_url: (value) => (isNone(value) ? "" : `/tasks/${encodeURIComponent(value)}/`),
  node_url: (value) => (isNone(value) ? "" : `/nodes/${encodeURIComponent(value)}/`),
  queue_url: (value) => (value ? `/queues/${encodeURIComponent(value)}/` : ""),
  queue_tasks_url: (value) => (isNone(value) ? "" : `/tasks/?queue=${encodeURIComponent(value)}`),
  task_number: (value) => (isNone(value) ? "" : `#${value}`),
  labels,
  labels_or_dash: (value, now) => labels(value, now) || DASH,
  select_label: (value) => (isNone(value) ? "" : t("tasks.select", { id: value })),
  breaker_title: breakerTitle,
  spark_line: (value) => sparkPoints(value).join(" "),
  spark_area: (value) => {
    const points = sparkPoints(value);
    return points.length ? [`0,${SPARK_HEIGHT}`, ...points, `${SPARK_WIDTH},${SPARK_HEIGHT}`].join(" ") : "";
  },
  tone_bad: (value) => (value ? "bad" : ""),
  at_least_one: (value) => String(Math.max(Number(value ?? 0), 1)),
};
