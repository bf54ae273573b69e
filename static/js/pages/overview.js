// @ts-check
import { bind } from "../bind.js";
import { byQueue, percentiles, throughput } from "../chart_specs.js";
import { byId } from "../dom.js";
import { RowList } from "../list.js";
import { live } from "../live.js";
import { inTurn, namedSquares } from "../node_map.js";
import { rangedCharts } from "../ranged_charts.js";
import { format } from "../row_format.js";
import { t } from "../strings.js";
import { timeRange } from "../time_range.js";
import { announce } from "../toast.js";

/** @import { Overview, Series } from "../types.d.ts" */

/** @typedef {Partial<Pick<Series, "range" | "start" | "end" | "failed" | "failed_before" | "failures">>} Figures of a range */

/** How long the finished checklist stays: to be seen done. */
const DONE_MS = 8_000;

const summary = byId("overview");
const nodes = new RowList(byId("node-lines"), (row) => row.name);
const map = byId("node-cells");
const cells = new RowList(map, (row) => row.name, (element) => inTurn(map, element));
const failures = new RowList(byId("failure-lines"), (row) => format("failure_key", row, 0));

/** @type {Overview | null} */
let latest = null;
/** Those of the range where the live document has them not. @type {Figures} */
let figures = {};
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

function showHealth() {
  if (!latest) return;
  const health = { ...latest, ...figures };
  bind(summary, health);
  bind(byId("all-failed"), health);
  bind(byId("failures-note"), health);
  failures.show(health.failures);
  byId("no-failures").hidden = health.failures.length > 0;
}

/** @param {Overview} overview */
function show(overview) {
  latest = overview;
  if (timeRange.isLive) {
    const points = overview.series;
    figures = { range: timeRange.name, start: points[0].minute, end: points[points.length - 1].minute };
  }
  drawHour(overview.series);
  showHealth();
  nodes.show(overview.nodes);
  cells.show(overview.cells);
  byId("node-map").hidden = !overview.cells.length;
  byId("no-nodes").hidden = overview.nodes.length > 0;
  showSteps(overview);
  tell(overview);
}

/** @param {Series} series */
function showRange(series) {
  const { range, start, end, failed, failed_before, failures: causes } = series;
  figures = { range, start, end, failed, failed_before, failures: causes };
  showHealth();
}

/** The checklist of the first run, until all of it is done. @param {Overview} overview */
function showSteps(overview) {
  const steps = document.getElementById("first-run");
  if (!steps) return;
  bind(steps, overview);
  if (overview.nodes_online && overview.counts.succeeded) setTimeout(() => steps.remove(), DONE_MS);
}

figures = JSON.parse(byId("series-data").textContent || "{}").figures;
const drawHour = rangedCharts(
  {},
  {
    throughput: throughput(),
    wait: percentiles("wait"),
    run: percentiles("run"),
    depth: byQueue("depth"),
    oldest: byQueue("oldest"),
  },
  showRange,
);
namedSquares(map, byId("node-cell-label"));
live.subscribe("overview", show);
