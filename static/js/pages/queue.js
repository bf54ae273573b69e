// @ts-check
import { patch } from "../api.js";
import { bind } from "../bind.js";
import { Chart } from "../charts.js";
import { byId } from "../dom.js";
import { RowList } from "../list.js";
import { live } from "../live.js";
import { format } from "../row_format.js";
import { steerQueue } from "../steering.js";
import { t } from "../strings.js";
import { toast } from "../toast.js";

/** @import { QueueDetail, QueueMinutePoint } from "../types.d.ts" */

const root = byId("queue");
const name = root.dataset.name ?? "";
const nodes = new RowList(byId("node-rows"), (row) => row.name);
const unit = (/** @type {number} */ n) => format("compact", n, 0);
const charts = [
  new Chart(byId("chart-depth"), {
    kind: "lines",
    unit,
    empty: t("chart.no_depth"),
    series: (/** @type {QueueMinutePoint[]} */ points) => [
      { name: t("queue.depth"), colour: "--queued", values: points.map((point) => point.depth) },
    ],
  }),
  new Chart(byId("chart-flow"), {
    kind: "lines",
    unit,
    series: (/** @type {QueueMinutePoint[]} */ points) => [
      { name: t("queue.in"), colour: "--running", values: points.map((point) => point.submitted) },
      { name: t("queue.out"), colour: "--succeeded", dash: [8, 4], values: points.map((point) => point.ended) },
    ],
  }),
];
/** @type {QueueMinutePoint[] | null} */
let charted = null;

/** @param {QueueDetail} queue */
function show(queue) {
  bind(root, queue);
  nodes.show(queue.nodes);
  byId("no-nodes").hidden = queue.nodes.length > 0;
  if (queue.series !== charted) {
    charted = queue.series;
    for (const chart of charts) chart.show(queue.series);
  }
}

const form = /** @type {HTMLFormElement} */ (byId("queue-form"));
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const error = byId("queue-error");
  error.hidden = true;
  try {
    await patch(`queues/${encodeURIComponent(name)}`, Object.fromEntries(new FormData(form)));
    toast(t("queue.saved"));
  } catch (problem) {
    error.textContent = problem instanceof Error ? problem.message : String(problem);
    error.hidden = false;
  }
});
for (const button of root.querySelectorAll(".page-actions [data-act]")) {
  button.addEventListener("click", () => steerQueue(name, button.getAttribute("data-act") ?? ""));
}
live.subscribe(`queue:${name}`, show);
