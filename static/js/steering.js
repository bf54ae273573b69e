// @ts-check
// Changing things by the REST API, after asking where it matters, and saying what came of it.

import { post } from "./api.js";
import { ask } from "./dialog.js";
import { format } from "./row_format.js";
import { t } from "./strings.js";
import { toast } from "./toast.js";

/** Say what did not work. @param {unknown} problem */
export const sayProblem = (problem) => toast(problem instanceof Error ? problem.message : String(problem), { tone: "bad" });

/** So long a second retry of the same task is taken for the other half of a double click. */
const RETRY_PAUSE_MS = 1_000;
/** Ids of tasks that are being retried, or were until just now. @type {Set<string>} */
const retrying = new Set();

/**
 * Submit a task again.
 * @param {string} id
 */
export async function retryTask(id) {
  if (retrying.has(id)) return;
  retrying.add(id);
  const pause = new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
  try {
    const task = await post(`tasks/${id}/retry`);
    toast(t("task.retried", { id: task.id }), { href: format("task_url", task.id, 0), link: t("task.open") });
  } catch (problem) {
    sayProblem(problem);
  }
  await pause;
  retrying.delete(id);
}

/**
 * Cancel a task; asks first if a node has it already.
 * @param {string} id
 * @param {boolean} isActive
 */
export function cancelTask(id, isActive) {
  const act = async () => {
    const { outcome } = await post(`tasks/${id}/cancel`);
    toast(t(outcome === "requested" ? "task.cancel_requested" : "task.cancelled", { id }));
  };
  if (!isActive) {
    act().catch(sayProblem);
    return;
  }
  const title = t("task.cancel_title", { id });
  ask({ title, text: t("task.cancel_text"), ok: t("task.cancel"), isDangerous: true, act });
}

/**
 * Pause or resume a queue.
 * @param {string} name
 * @param {string} verb "pause" or "resume"
 */
export function steerQueue(name, verb) {
  const path = `queues/${encodeURIComponent(name)}/${verb}`;
  if (verb === "resume") {
    post(path)
      .then(() => toast(t("queue.resumed", { name })))
      .catch(sayProblem);
    return;
  }
  ask({
    title: t("queue.pause_title", { name }),
    text: t("queue.pause_text"),
    ok: t("queue.pause"),
    hasReason: true,
    act: async (reason) => {
      await post(path, { reason });
      toast(t("queue.paused", { name }));
    },
  });
}

/**
 * Let the buttons with data-act in the rows of `container` steer what the row is about.
 * @param {HTMLElement} container
 * @param {(name: string, verb: string) => void} steer
 */
export function steerRows(container, steer) {
  container.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    const button = event.target.closest("[data-act]");
    const row = /** @type {HTMLElement | null} */ (event.target.closest("[data-key]"));
    if (button && row) steer(row.dataset.key ?? "", button.getAttribute("data-act") ?? "");
  });
}
