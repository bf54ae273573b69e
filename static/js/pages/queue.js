// @ts-check
import { newKey, patch, post } from "../api.js";
import { bind } from "../bind.js";
import { flow, ofQueue } from "../chart_specs.js";
import { ask } from "../dialog.js";
import { byId } from "../dom.js";
import { RowList } from "../list.js";
import { live } from "../live.js";
import { rangedCharts } from "../ranged_charts.js";
import { format } from "../row_format.js";
import { sayProblem, steerQueue } from "../steering.js";
import { t } from "../strings.js";
import { toast } from "../toast.js";

/** @import { QueueDetail } from "../types.d.ts" */

const root = byId("queue");
const name = root.dataset.name ?? "";
const nodes = new RowList(byId("node-rows"), (row) => row.name);
const drawHour = rangedCharts({ queue: name }, { depth: ofQueue(name, "depth"), oldest: ofQueue(name, "oldest"), flow: flow() });

/** @param {QueueDetail} queue */
function show(queue) {
  bind(root, queue);
  nodes.show(queue.nodes);
  byId("no-nodes").hidden = queue.nodes.length > 0;
  drawHour(queue.series);
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

/** Ask before what waits here is cancelled, with the server's own count of it. */
async function askToEmpty() {
  const key = newKey();
  const order = { action: "cancel", q: `queue:"${name}" state:queued,scheduled` };
  const { will, is_exact: isExact, estimate } = await post("bulk/preview", order);
  if (isExact && !will) return toast(t("purge.none"));
  const n = format("count", isExact ? will : (estimate ?? will), 0);
  return ask({
    title: t("purge.title", { name }),
    text: t("purge.text", { n }),
    ok: t("purge.ok", { n }),
    typed: name,
    isDangerous: true,
    act: async () => {
      const { job } = await post("bulk", order, { "Idempotency-Key": key });
      location.assign(format("bulk_url", job.id, 0));
    },
  });
}

document.getElementById("purge")?.addEventListener("click", () => askToEmpty().catch(sayProblem));
live.subscribe(`queue:${name}`, show);
