// @ts-check
import { post } from "../api.js";
import { bind } from "../bind.js";
import { askBulk } from "../bulk_dialog.js";
import { byId, make } from "../dom.js";
import { live } from "../live.js";
import { format } from "../row_format.js";
import { t } from "../strings.js";
import { toast } from "../toast.js";

/** @import { BulkDocument, BulkLeft } from "../types.d.ts" */

const root = byId("bulk-job");
const id = root.dataset.id ?? "";
let left = "";

/** @param {BulkLeft} one */
function section(one) {
  const items = one.tasks.map((task) => {
    const link = make("a", { href: format("task_url", task.id, 0) }, format("task_number", task.id, 0));
    return make("li", {}, link, ...(task.detail ? [" ", make("span", { class: "muted" }, task.detail)] : []));
  });
  const count = make("span", { class: "count" }, format("count", one.count, 0));
  return make("section", {}, make("h3", {}, format("bulk_reason", one.reason, 0), " ", count), make("ul", {}, ...items));
}

/** @param {BulkDocument} document */
function show(document) {
  bind(root, document);
  byId("nothing-left").hidden = document.left.length > 0;
  const list = byId("bulk-left");
  const now = JSON.stringify(document.left);
  // Links do not change under the pointer or the keyboard.
  if (now === left || list.matches(":hover, :focus-within")) return;
  left = now;
  list.replaceChildren(...document.left.map(section));
}

root.addEventListener("click", async ({ target }) => {
  const button = target instanceof Element ? target.closest("button") : null;
  if (!button) return;
  if (button.id === "bulk-undo") {
    askBulk("cancel", `tag:${button.dataset.tag} state:scheduled,queued`);
    return;
  }
  button.disabled = true;
  try {
    show(await post(`bulk/${id}/${button.dataset.act}`));
  } catch (problem) {
    toast(problem instanceof Error ? problem.message : String(problem), { tone: "bad" });
  }
  button.disabled = false;
});

live.subscribe(`bulk:${id}`, show, { lost: () => toast(t("bulk.gone"), { tone: "bad" }) });
