// @ts-check
// The charts that several pages have, made of the points of GET /api/v1/series and of the live documents.

import { span } from "./format.js";
import { format } from "./row_format.js";
import { t } from "./strings.js";

/** @import { QueueMinutePoint, SeriesPoint } from "./types.d.ts" */
/** @import { Series, Spec } from "./charts.js" */

/** At most six hues, those of states; two more series are grey. p50 is solid, p95 dashed, p99 dotted. */
const HUES = ["--running", "--retrying", "--succeeded", "--scheduled", "--dead", "--failed", "--muted", "--text"];
const DASHES = [undefined, [8, 4], [2, 3], [12, 4, 2, 4], [5, 3], [1, 4], undefined, [8, 4]];

/** @typedef {Exclude<keyof SeriesPoint, "minute" | "depth" | "oldest">} Column */

/** @param {Column} name @param {SeriesPoint[]} points */
const column = (name, points) => points.map((point) => point[name]);
/** @param {number} ms */
const duration = (ms) => format("duration", ms, 0);
/** @param {number} ms At an axis: 10 s, 1m, 1h. */
const mark = (ms) => (ms < 60_000 ? duration(ms) : span(ms / 1000));
/** @param {number} n */
const count = (n) => format("compact", n, 0);

/** How attempts on a node ended, in each step. @returns {Spec} */
export const attempts = () => ({
  kind: "bars",
  unit: count,
  series: (/** @type {SeriesPoint[]} */ points) => [
    { name: t("state.succeeded"), colour: "--fill-succeeded", values: column("succeeded", points) },
    { name: t("state.failed"), colour: "--fill-failed", values: column("failed", points) },
  ],
});

/** How tasks ended, in each step. @returns {Spec} */
export const throughput = () => ({
  ...attempts(),
  series: (/** @type {SeriesPoint[]} */ points) => [
    ...attempts().series(points),
    { name: t("chart.other"), colour: "--fill-other", values: column("other", points) },
  ],
});

/** What came into a queue and what ended, in each step. @returns {Spec} */
export const flow = () => ({
  kind: "lines",
  unit: count,
  series: (/** @type {(SeriesPoint & QueueMinutePoint)[]} */ points) => [
    { name: t("queue.in"), colour: "--running", values: column("submitted", points) },
    {
      name: t("queue.out"),
      colour: "--succeeded",
      dash: [8, 4],
      values: points.map(({ ended, succeeded, failed, other }) => ended ?? succeeded + failed + other),
    },
  ],
});

/**
 * How long half, 95 and 99 of a hundred attempts took at most.
 * @param {"wait" | "run"} kind
 * @returns {Spec}
 */
export const percentiles = (kind) => ({
  kind: "lines",
  unit: duration,
  mark,
  isLogarithmic: true,
  series: (/** @type {SeriesPoint[]} */ points) => [
    { name: "p50", colour: kind === "wait" ? "--scheduled" : "--running", values: column(`${kind}_p50`, points) },
    { name: "p95", colour: "--retrying", dash: [8, 4], values: column(`${kind}_p95`, points) },
    { name: "p99", colour: "--failed", dash: [2, 3], values: column(`${kind}_p99`, points) },
  ],
});

/**
 * One line for each queue: how many tasks wait in it, or for how long the first of them has.
 * @param {"depth" | "oldest"} gauge
 * @returns {Spec}
 */
export function byQueue(gauge) {
  // A queue that had a line keeps it: what comes and goes within a second would make the chart anew each time.
  /** @type {Map<string, number>} */
  const highest = new Map();
  return {
    ...waiting(gauge),
    series: (/** @type {SeriesPoint[]} */ points) => queueLines(gauge, points, highest),
  };
}

/** @param {"depth" | "oldest"} gauge */
const waiting = (gauge) => ({
  kind: /** @type {const} */ ("lines"),
  empty: t("chart.no_depth"),
  ...(gauge === "depth" ? { unit: count } : { unit: duration, mark, isLogarithmic: true }),
});

/**
 * The same for one queue, whose live points have the plain numbers.
 * @param {string} queue
 * @param {"depth" | "oldest"} gauge
 * @returns {Spec}
 */
export const ofQueue = (queue, gauge) => ({
  ...waiting(gauge),
  series: (/** @type {(SeriesPoint | QueueMinutePoint)[]} */ points) => [
    {
      name: t(gauge === "depth" ? "queue.depth" : "queue.oldest"),
      colour: "--queued",
      values: points.map(({ [gauge]: n }) => (typeof n === "object" ? n[queue] : n) || (gauge === "depth" ? 0 : null)),
    },
  ],
});

/**
 * @param {"depth" | "oldest"} gauge
 * @param {SeriesPoint[]} points
 * @param {Map<string, number>} highest depth of each queue so far; what these points have is added
 * @returns {Series[]}
 */
function queueLines(gauge, points, highest) {
  // Ranked by depth in both charts: a queue has one colour.
  for (const { depth } of points) {
    for (const [queue, n] of Object.entries(depth)) highest.set(queue, Math.max(n, highest.get(queue) ?? 0));
  }
  const names = [...highest].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, HUES.length);
  // A scale of powers has no zero: who waits for nothing has no point on it.
  const none = gauge === "depth" ? 0 : null;
  return names
    .map(([name]) => name)
    .sort()
    .map((name, i) => ({ name, colour: HUES[i], dash: DASHES[i], values: points.map((point) => point[gauge][name] ?? none) }));
}
