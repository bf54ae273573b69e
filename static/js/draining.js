// @ts-check
// Steering a node: drain it by a dialog that says what that touches, pause its intake, disable it, resume it.

import { post } from "./api.js";
import { serverNow } from "./clock.js";
import { ask } from "./dialog.js";
import { byId, make } from "./dom.js";
import { format } from "./row_format.js";
import { sayProblem } from "./steering.js";
import { t } from "./strings.js";
import { toast } from "./toast.js";

const SHOWN_TASKS = 8;

/** @typedef {import("./types.d.ts").NodeDetail} NodeDetail */

/** @param {string} name */
const pathOf = (name) => `nodes/${encodeURIComponent(name)}`;

/** @param {string} name */
async function listWhatItTouches(name) {
  const count = byId("drain-count");
  const list = byId("drain-tasks");
  count.textContent = "";
  list.replaceChildren();
  const answer = await fetch(`/api/v1/${pathOf(name)}`, { headers: { Accept: "application/json" } }).catch(() => null);
  if (!answer?.ok) return;
  const { tasks, node } = /** @type {NodeDetail} */ (await answer.json());
  const now = serverNow();
  count.textContent = node.held ? t("node.drain_touches", { n: node.held }) : t("node.drain_nothing");
  for (const task of tasks.slice(0, SHOWN_TASKS)) {
    const ran = format("ran_for", task, now);
    const state = task.state === "running" ? t("node.ran", { span: ran }) : t("node.waits");
    const link = make("a", { href: format("task_url", task.id, now) }, `${task.type} ${format("task_number", task.id, now)}`);
    list.append(make("li", {}, link, ` · ${state}`));
  }
  if (node.held > SHOWN_TASKS) list.append(make("li", {}, t("node.drain_more", { n: node.held - SHOWN_TASKS })));
}

/** @param {string} name */
function drainNode(name) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("drain"));
  const form = /** @type {HTMLFormElement} */ (dialog.querySelector("form"));
  const deadline = /** @type {HTMLSelectElement} */ (byId("drain-deadline"));
  const reason = /** @type {HTMLInputElement} */ (byId("drain-reason"));
  const then = /** @type {HTMLFieldSetElement} */ (byId("drain-then"));
  const button = /** @type {HTMLButtonElement} */ (byId("drain-ok"));
  const error = byId("drain-error");
  byId("drain-title").textContent = t("node.drain_title", { name });
  reason.value = "";
  error.hidden = true;
  button.disabled = false;
  deadline.onchange = () => (then.disabled = !deadline.value);
  deadline.onchange(new Event("change"));
  byId("drain-cancel").onclick = () => dialog.close();
  form.onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    const handsBack = new FormData(form).get("drain-then") !== "leave";
    const wanted = deadline.value ? { deadline_seconds: Number(deadline.value), hand_back: handsBack } : {};
    try {
      await post(`${pathOf(name)}/drain`, { reason: reason.value.trim(), ...wanted });
      dialog.close();
      toast(t("node.drained", { name }));
    } catch (problem) {
      error.textContent = problem instanceof Error ? problem.message : String(problem);
      error.hidden = false;
      button.disabled = false;
    }
  };
  listWhatItTouches(name);
  dialog.showModal();
  deadline.focus();
}

/**
 * Drain, pause, disable or resume a node.
 * @param {string} name
 * @param {string} verb "drain", "pause", "disable" or "resume"
 */
export function steerNode(name, verb) {
  if (verb === "drain") {
    drainNode(name);
  } else if (verb === "resume") {
    post(`${pathOf(name)}/resume`, { reason: "" })
      .then(() => toast(t("node.resumed", { name })))
      .catch(sayProblem);
  } else {
    const isPause = verb === "pause";
    ask({
      title: t(isPause ? "node.pause_title" : "node.disable_title", { name }),
      text: t(isPause ? "node.pause_text" : "node.disable_text"),
      ok: t(isPause ? "node.pause" : "node.disable"),
      hasReason: true,
      isDangerous: !isPause,
      act: async (reason) => {
        await post(`${pathOf(name)}/${isPause ? "drain" : "disable"}`, { reason });
        toast(t(isPause ? "node.drained" : "node.disabled", { name }));
      },
    });
  }
}
