// @ts-check
import { bind } from "../bind.js";
import { Chart } from "../charts.js";
import { byId } from "../dom.js";
import { span } from "../format.js";
import { RowList } from "../list.js";
import { live } from "../live.js";
import { format } from "../row_format.js";
import { t } from "../strings.js";
import { announce } from "../toast.js";

/** @import { Overview, SeriesPoint } from "../types.d.ts" */

const MAX_QUEUES = 6;
const QUEUE_COLOURS = ["--running", "--retrying", "--succeeded", "--scheduled", "--dead", "--queued"];
const QUEUE_DASHES = [undefined, [8, 4], [2, 3], [12, 4, 2, 4], [5, 3], [1, 4]];

/** @typedef {Exclude<keyof SeriesPoint, "minute" | "depth">} Column */

/** @param {Column} name @param {SeriesPoint[]} points */
const column = (name, points) => points.map((point) => point[name]);

/** @param {"wait" | "run"} kind @param {string} ink */
const percentiles = (kind, ink) => (/** @type {SeriesPoint[]} */ points) => [
  { name: "p50", colour: ink, values: column(`${kind}_p50`, points) },
  { name: "p95", colour: "--retrying", dash: [8, 4], values: column(`${kind}_p95`, points) },
  { name: "p99", colour: "--failed", dash: [2, 3], values: column(`${kind}_p99`, points) },
];

/** @param {number} ms */
const duration = (ms) => format("duration", ms, 0);
/** @param {number} ms At an axis: 10 s, 1m, 1h. */
const mark = (ms) => (ms < 60_000 ? duration(ms) : span(ms / 1000));
/** @param {number} n */
const count = (n) => format("compact", n, 0);

/** @param {SeriesPoint[]} points The queues that had most waiting tasks, by name. */
function depths(points) {
  /** @type {Map<string, number>} */
  const highest = new Map();
  for (const { depth } of points) {
    for (const [queue, n] of Object.entries(depth)) highest.set(queue, Math.max(n, highest.get(queue) ?? 0));
  }
  const names = [...highest].sort((a, b) => b[1] - a[1]).slice(0, MAX_QUEUES);
  return names
    .map(([name]) => name)
    .sort()
    .map((name, i) => ({
      name,
      colour: QUEUE_COLOURS[i],
      dash: QUEUE_DASHES[i],
      values: points.map(({ depth }) => depth[name] ?? 0),
    }));
}

const charts = [
  new Chart(byId("chart-throughput"), {
    kind: "bars",
    unit: count,
    series: (points) => [
      { name: t("state.succeeded"), colour: "--fill-succeeded", values: column("succeeded", points) },
      { name: t("state.failed"), colour: "--fill-failed", values: column("failed", points) },
      { name: t("chart.other"), colour: "--fill-other", values: column("other", points) },
    ],
  }),
  new Chart(byId("chart-wait"), {
    kind: "lines",
    unit: duration,
    mark,
    isLogarithmic: true,
    series: percentiles("wait", "--scheduled"),
  }),
  new Chart(byId("chart-run"), {
    kind: "lines",
    unit: duration,
    mark,
    isLogarithmic: true,
    series: percentiles("run", "--running"),
  }),
  new Chart(byId("chart-depth"), { kind: "lines", unit: count, series: depths, empty: t("chart.no_depth") }),
];

const summary = byId("overview");
const nodes = new RowList(byId("node-lines"), (row) => row.name);
const failures = new RowList(byId("failure-lines"), (row) => format("failure_key", row, 0));

/** @type {SeriesPoint[] | null} */
let shownSeries = null;
/** @type {{succeeded: number, failed: number} | null} */
let announced = null;

/** @param {Overview} document */
function tell({ counts }) {
  if (announced && counts.succeeded > announced.succeeded) {
    const failed = counts.failed - announced.failed;
    announce(t("announce.finished", { done: counts.succeeded - announced.succeeded + failed, failed }), failed > 0);
  }
  announced = { succeeded: counts.succeeded, failed: counts.failed };
}

/** @param {Overview} overview */
function show(overview) {
  bind(summary, overview);
  nodes.show(overview.nodes);
  failures.show(overview.failures);
  byId("no-nodes").hidden = overview.nodes.length > 0;
  byId("no-failures").hidden = overview.failures.length > 0;
  if (overview.series !== shownSeries) {
    shownSeries = overview.series;
    for (const chart of charts) chart.show(overview.series);
  }
  const steps = document.getElementById("first-run");
  if (steps) bind(steps, overview);
  tell(overview);
}

const first = document.getElementById("series-data");
if (first?.textContent) for (const chart of charts) chart.show(JSON.parse(first.textContent));
live.subscribe("overview", show);
