// @ts-check
import { bind } from "../bind.js";
import { percentiles, throughput } from "../chart_specs.js";
import { byId } from "../dom.js";
import { showJson } from "../json_text.js";
import { RowList } from "../list.js";
import { live } from "../live.js";
import { rangedCharts } from "../ranged_charts.js";

/** @import { TypeDetail } from "../types.d.ts" */

const root = byId("type");
const offers = new RowList(byId("offer-rows"), (row) => row.key);

const drawHour = rangedCharts(
  { type: root.dataset.name ?? "" },
  { throughput: throughput(), wait: percentiles("wait"), run: percentiles("run") },
);

/** @param {TypeDetail} detail */
function show(detail) {
  bind(root, detail);
  offers.show(detail.offers);
  byId("offer-table").hidden = !detail.offers.length;
  byId("no-offers").hidden = detail.offers.length > 0;
  drawHour(detail.series);
}

const schema = document.getElementById("schema-text");
if (schema?.textContent) showJson(schema, schema.textContent);
live.subscribe(`type:${root.dataset.name ?? ""}`, show);
