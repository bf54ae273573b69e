// @ts-check
import { bind } from "../bind.js";
import { throughput } from "../chart_specs.js";
import { Chart } from "../charts.js";
import { byId } from "../dom.js";
import { span } from "../format.js";
import { showJson } from "../json_text.js";
import { RowList } from "../list.js";
import { live } from "../live.js";
import { format } from "../row_format.js";
import { t } from "../strings.js";

/** @import { SeriesPoint, TypeDetail } from "../types.d.ts" */

const root = byId("type");
const offers = new RowList(byId("offer-rows"), (row) => row.key);

/** @param {Exclude<keyof SeriesPoint, "minute" | "depth" | "oldest">} name @param {SeriesPoint[]} points */
const column = (name, points) => points.map((point) => point[name]);
/** @param {number} ms */
const duration = (ms) => format("duration", ms, 0);

const charts = [
  new Chart(byId("chart-throughput"), throughput()),
  new Chart(byId("chart-times"), {
    kind: "lines",
    unit: duration,
    mark: (ms) => (ms < 60_000 ? duration(ms) : span(ms / 1000)),
    isLogarithmic: true,
    series: (points) => [
      { name: t("type.wait_p95"), colour: "--scheduled", dash: [8, 4], values: column("wait_p95", points) },
      { name: t("type.run_p95"), colour: "--running", values: column("run_p95", points) },
    ],
  }),
];

/** @type {SeriesPoint[] | null} */
let shownSeries = null;

/** @param {TypeDetail} detail */
function show(detail) {
  bind(root, detail);
  offers.show(detail.offers);
  byId("offer-table").hidden = !detail.offers.length;
  byId("no-offers").hidden = detail.offers.length > 0;
  if (detail.series !== shownSeries) {
    shownSeries = detail.series;
    for (const chart of charts) chart.show(detail.series);
  }
}

for (const chart of charts) chart.show(JSON.parse(byId("series-data").textContent || "[]"));
const schema = document.getElementById("schema-text");
if (schema?.textContent) showJson(schema, schema.textContent);
live.subscribe(`type:${root.dataset.name ?? ""}`, show);
