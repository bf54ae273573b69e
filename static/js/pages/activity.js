// @ts-check
import { post } from "../api.js";
import { bind } from "../bind.js";
import { byId } from "../dom.js";
import { renew } from "../fresh_list.js";
import { live } from "../live.js";
import { rowCursor } from "../row_cursor.js";
import { t } from "../strings.js";
import { toast } from "../toast.js";

/** @import { ActivityDocument } from "../types.d.ts" */

const LIST = "activity-list";
const list = byId(LIST);

function showAges() {
  for (const time of list.querySelectorAll("time")) bind(time, { at: time.dateTime });
}

async function refresh() {
  await renew(LIST);
  showAges();
}

/** @param {ActivityDocument} known */
function show({ newest }) {
  // An older page stays as it is: nothing is added to it.
  byId("new-pill").hidden = Boolean(list.dataset.after) || !newest || newest === list.dataset.newest;
}

list.addEventListener("click", async ({ target }) => {
  if (!(target instanceof Element)) return;
  if (target.closest("#new-pill button")) return refresh();
  const button = /** @type {HTMLButtonElement | null} */ (target.closest("[data-undo]"));
  if (!button) return;
  button.disabled = true;
  try {
    await post(button.dataset.undo ?? "", button.dataset.body);
    toast(t("activity.undone"));
    await refresh();
  } catch (problem) {
    button.disabled = false;
    toast(problem instanceof Error ? problem.message : String(problem), { tone: "bad" });
  }
});

byId("f-about").addEventListener("change", () => /** @type {HTMLFormElement} */ (byId("filters")).requestSubmit());

rowCursor(() => document.getElementById("activity-rows"));
showAges();
live.subscribe(`activity:${list.dataset.query ?? ""}`, show);
