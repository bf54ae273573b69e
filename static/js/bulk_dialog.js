// @ts-check
// The dialog before an action on all tasks that match: the exact scope, how fast, and a button that carries the number.

import { newKey, post } from "./api.js";
import { byId, make } from "./dom.js";
import { format } from "./row_format.js";
import { t } from "./strings.js";

/** @import { BulkPreview } from "./types.d.ts" */
/** @typedef {"retry" | "cancel"} Action */

const input = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(id));
const count = (/** @type {number} */ n) => format("count", n, 0);

/** @param {BulkPreview} preview */
function showScope(preview) {
  const { is_exact: isExact, estimate } = preview;
  const shown = isExact ? preview.will : (estimate ?? preview.will);
  const key = isExact ? "bulk.scope" : estimate === null ? "bulk.scope_more" : "bulk.scope_about";
  byId("bulk-scope").textContent = t(key, { n: count(shown) });
  byId("bulk-reasons").replaceChildren(
    ...Object.entries(preview.left).map(([reason, n]) =>
      make("li", {}, t("bulk.left", { n: count(n), reason: format("bulk_reason", reason, 0) })),
    ),
  );
  const ok = /** @type {HTMLButtonElement} */ (byId("bulk-ok"));
  const isAll = !isExact && estimate === null;
  ok.textContent = isAll ? t(`bulk.${preview.action}`) : t(`bulk.ok_${preview.action}`, { n: count(shown) });
  ok.disabled = isExact && !preview.will;
}

/** @param {unknown} problem */
function showProblem(problem) {
  byId("bulk-error").textContent = problem instanceof Error ? problem.message : String(problem);
  byId("bulk-error").hidden = false;
}

/**
 * Ask, and begin it on yes; the page of the action opens then.
 * @param {Action} action
 * @param {string} q the query; "" for all tasks
 */
export function askBulk(action, q) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("bulk-dialog"));
  const form = /** @type {HTMLFormElement} */ (dialog.querySelector("form"));
  const ok = /** @type {HTMLButtonElement} */ (byId("bulk-ok"));
  // A second press, or a repeated request, begins nothing a second time.
  const key = newKey();
  const again = () => action === "retry" && input("bulk-again").checked;
  const look = async () => {
    ok.disabled = true;
    ok.textContent = t(`bulk.${action}`);
    byId("bulk-error").hidden = true;
    byId("bulk-scope").textContent = t("bulk.counting");
    try {
      showScope(await post("bulk/preview", { action, q, again: again() }));
    } catch (problem) {
      byId("bulk-scope").textContent = "";
      showProblem(problem);
    }
  };
  byId("bulk-title").textContent = t(`bulk.${action}`);
  byId("bulk-query").textContent = format("bulk_query", q, 0);
  byId("bulk-reasons").replaceChildren();
  byId("bulk-again-field").hidden = action !== "retry";
  ok.className = action === "cancel" ? "button primary danger" : "button primary";
  byId("bulk-back").onclick = () => dialog.close();
  input("bulk-again").onchange = look;
  form.onsubmit = async (event) => {
    event.preventDefault();
    ok.disabled = true;
    const rate = input("bulk-rate").value;
    const body = { action, q, again: again(), batch_size: Number(input("bulk-batch").value), per_second: rate ? Number(rate) : null };
    try {
      const { job } = await post("bulk", body, { "Idempotency-Key": key });
      location.assign(format("bulk_url", job.id, 0));
    } catch (problem) {
      showProblem(problem);
      ok.disabled = false;
    }
  };
  dialog.showModal();
  look();
}

/** The button in the selection bar that goes from the selected tasks to all that match. */
export class AllMatching {
  #place = byId("bulk-matching");
  #button = make("button", { type: "button", class: "button quiet", id: "bulk-all" });
  isChosen = false;

  /** @param {() => void} chosen called when all are chosen */
  constructor(chosen) {
    this.#place.append(this.#button);
    this.#button.addEventListener("click", () => {
      this.isChosen = true;
      chosen();
    });
  }

  get query() {
    return this.#place.dataset.query ?? "";
  }

  /** What the bar calls the selection. */
  get words() {
    return this.#number ? t("bulk.all_n", { n: this.#number }) : t("bulk.all_matching");
  }

  get #number() {
    const { count: found, capped } = this.#place.dataset;
    return found && capped !== "true" ? count(Number(found)) : "";
  }

  show() {
    this.#button.textContent = this.#number ? t("bulk.select_n", { n: this.#number }) : t("bulk.select_all");
    this.#place.hidden = this.isChosen;
  }
}
