// @ts-check
import { bind } from "../bind.js";
import { attempts } from "../chart_specs.js";
import { byId } from "../dom.js";
import { steerNode } from "../draining.js";
import { RowList } from "../list.js";
import { live } from "../live.js";
import { rangedCharts } from "../ranged_charts.js";
import { rowCursor } from "../row_cursor.js";
import { cancelTask, steerRows } from "../steering.js";

/** @import { NodeDetail } from "../types.d.ts" */

const root = byId("node");
const name = root.dataset.name ?? "";
const running = new RowList(byId("running-rows"), (row) => row.id);
const failed = new RowList(byId("failed-rows"), (row) => row.id);
const events = new RowList(byId("event-rows"), (row) => row.id);
const drawHour = rangedCharts({ node: name }, { ended: attempts() });

/** @param {NodeDetail} node */
function show(node) {
  bind(root, node);
  running.show(node.tasks);
  failed.show(node.failures);
  events.show(node.events);
  byId("running-table").hidden = !node.tasks.length;
  byId("no-running").hidden = node.tasks.length > 0;
  byId("failed-table").hidden = !node.failures.length;
  byId("no-failed").hidden = node.failures.length > 0;
  byId("no-events").hidden = node.events.length > 0;
  drawHour(node.series);
}

for (const button of root.querySelectorAll(".page-actions [data-act]")) {
  button.addEventListener("click", () => steerNode(name, button.getAttribute("data-act") ?? ""));
}
rowCursor(() => byId("running-rows"));
steerRows(byId("running-rows"), (id) => cancelTask(id, true));
live.subscribe(`node:${name}`, show);
// The command palette leads here with what is wanted.
if (location.hash === "#drain" && root.querySelector("[data-act=drain]:not([hidden])")) steerNode(name, "drain");
