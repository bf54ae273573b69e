// @ts-check
import { post } from "../api.js";
import { bind } from "../bind.js";
import { AllMatching, askBulk } from "../bulk_dialog.js";
import { ask } from "../dialog.js";
import { byId, isTyping } from "../dom.js";
import { renew } from "../fresh_list.js";
import { onKeys } from "../keys.js";
import { live } from "../live.js";
import { offer } from "../palette.js";
import { queryBar } from "../query_bar.js";
import { rowCursor } from "../row_cursor.js";
import { format } from "../row_format.js";
import { cancelTask, retryTask } from "../steering.js";
import { t } from "../strings.js";
import { toast } from "../toast.js";

/** @import { Counts, TasksDocument } from "../types.d.ts" */

const ENDED = new Set(["succeeded", "failed", "cancelled", "expired"]);
const ACTIVE = new Set(["dispatched", "running"]);
const RELOAD_MS = 1_500;
const AT_TOP_PX = 160;

/** @type {Record<string, string>} */
const filters = JSON.parse(byId("filter-params").textContent || "{}");
// Of a query that could not be understood there is nothing to follow.
const isUnderstood = !document.getElementById("query-error");
/** Ids of the selected tasks; they stay selected while the list changes. @type {Set<string>} */
const selected = new Set();
let reloadedAt = 0;
let isReloading = false;

const body = () => document.getElementById("task-rows");
const rows = () => /** @type {HTMLElement[]} */ ([...(body()?.children ?? [])]);
const ids = () => rows().map((row) => row.dataset.key ?? "");
const stateOf = (/** @type {string} */ id) => rows().find((row) => row.dataset.key === id)?.dataset.state ?? "";
const current = rowCursor(body);

// --- Selection ------------------------------------------------------------------------------------

const bar = document.getElementById("bulk-bar");
const endedOf = () => [...selected].filter((id) => ENDED.has(stateOf(id)));
const openOf = () => [...selected].filter((id) => !ENDED.has(stateOf(id)));

/** @param {string} id @param {string} key @param {number} n */
function label(id, key, n) {
  const button = /** @type {HTMLButtonElement} */ (byId(id));
  const words = button.querySelector("span");
  if (words) words.textContent = t(key, { n });
  button.disabled = !n;
}

const matching = bar && new AllMatching(showSelection);

/** Retry and cancel of all that match ask in a dialog of their own. @param {AllMatching} all */
function showAll(all) {
  byId("bulk-count").textContent = all.words;
  for (const action of ["retry", "cancel"]) {
    label(`bulk-${action}`, `bulk.act_${action}`, 1);
  }
}

function showSelection() {
  if (!bar || !matching) return;
  for (const row of rows()) {
    const box = row.querySelector("input");
    if (box) box.checked = selected.has(row.dataset.key ?? "");
  }
  const all = /** @type {HTMLInputElement | null} */ (document.getElementById("select-all"));
  if (all) {
    all.checked = selected.size > 0 && selected.size === rows().length;
    all.indeterminate = selected.size > 0 && !all.checked;
  }
  bar.hidden = !selected.size;
  byId("bulk-count").textContent = t("tasks.selected", { n: selected.size });
  label("bulk-retry", "tasks.retry_n", endedOf().length);
  label("bulk-cancel", "tasks.cancel_n", openOf().length);
  matching.show();
  if (matching.isChosen) showAll(matching);
}

function clearSelection() {
  if (matching) matching.isChosen = false;
  selected.clear();
  showSelection();
}

byId("task-list").addEventListener("change", ({ target }) => {
  if (!(target instanceof HTMLInputElement)) return;
  if (matching) matching.isChosen = false;
  if (target.id === "select-all") {
    for (const id of ids()) target.checked ? selected.add(id) : selected.delete(id);
  } else {
    target.checked ? selected.add(target.value) : selected.delete(target.value);
  }
  showSelection();
});

// --- Bulk actions: on exactly the tasks that the button's number counts ----------------------------

function retrySelected() {
  if (matching?.isChosen) return askBulk("retry", matching.query);
  const chosen = endedOf();
  if (!chosen.length) return;
  const n = chosen.length;
  const act = async () => {
    const { created, not_finished: left } = await post("tasks/retry", { ids: chosen });
    const skipped = left.length ? ` ${t("tasks.skipped", { n: left.length })}` : "";
    toast(t("tasks.retry_done", { n: Object.keys(created).length }) + skipped);
    clearSelection();
  };
  ask({ title: t("tasks.retry_title", { n }), text: t("tasks.retry_text"), ok: t("tasks.retry_n", { n }), act });
}

function cancelSelected() {
  if (matching?.isChosen) return askBulk("cancel", matching.query);
  const chosen = openOf();
  if (!chosen.length) return;
  const n = chosen.length;
  const act = async () => {
    const done = await post("tasks/cancel", { ids: chosen });
    const skipped = done.too_late.length ? ` ${t("tasks.skipped", { n: done.too_late.length })}` : "";
    toast(t("tasks.cancel_done", { done: done.cancelled.length, asked: done.requested.length }) + skipped);
    clearSelection();
  };
  const title = t("tasks.cancel_title", { n });
  ask({ title, text: t("tasks.cancel_text"), ok: t("tasks.cancel_n", { n }), isDangerous: true, act });
}

if (bar) {
  byId("bulk-retry").addEventListener("click", retrySelected);
  byId("bulk-cancel").addEventListener("click", cancelSelected);
  byId("bulk-clear").addEventListener("click", clearSelection);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !isTyping(event.target) && !document.querySelector("dialog[open]")) clearSelection();
  });
}

// Who may look only can select and read why no more can be done.
if ("operator" in document.body.dataset) {
  onKeys("r", () => {
    const id = current()?.dataset.key;
    if (selected.size) retrySelected();
    else if (id && ENDED.has(stateOf(id))) retryTask(id);
  });
  onKeys("c", () => {
    const id = current()?.dataset.key;
    if (selected.size) cancelSelected();
    else if (id && !ENDED.has(stateOf(id))) cancelTask(id, ACTIVE.has(stateOf(id)));
  });
}

// --- Live ------------------------------------------------------------------------------------------

/** Whether new rows may come in by themselves without moving anything that somebody reads or points at. */
function mayMove() {
  const list = byId("task-list");
  return scrollY < AT_TOP_PX && !selected.size && !current() && !list.matches(":hover, :focus-within");
}

async function reload() {
  if (isReloading) return;
  isReloading = true;
  try {
    if (!(await renew("task-list"))) return;
    showSelection();
    subscribe();
  } finally {
    isReloading = false;
    reloadedAt = performance.now();
  }
}

/** @param {TasksDocument} list */
function showNew(list) {
  const pill = byId("new-pill");
  const isFirstPage = !byId("pager").dataset.after;
  if (!list.new || !isFirstPage) {
    pill.hidden = true;
  } else if (mayMove() && performance.now() - reloadedAt > RELOAD_MS) {
    reload();
  } else {
    const words = pill.querySelector("span");
    if (words) words.textContent = t(list.new_is_capped ? "tasks.new_capped" : "tasks.new", { n: list.new });
    pill.hidden = false;
  }
}

/** @param {Counts | null} counts */
function showCounts(counts) {
  if (!counts) return;
  for (const badge of document.querySelectorAll("[data-states]")) {
    const states = (badge.getAttribute("data-states") ?? "").split(",");
    badge.textContent = format("compact", states.reduce((sum, state) => sum + (counts[/** @type {keyof Counts} */ (state)] ?? 0), 0), 0);
  }
}

/** @type {TasksDocument | null} */
let shown = null;

/** @param {TasksDocument} list */
function show(list) {
  shown = list;
  const byKey = new Map(rows().map((row) => [row.dataset.key, row]));
  for (const task of list.rows) {
    const row = byKey.get(task.id);
    if (row) bind(row, task);
    byKey.delete(task.id);
  }
  // What was deleted for its age stays readable and can no longer be opened.
  for (const row of byKey.values()) row.setAttribute("aria-disabled", "true");
  showCounts(list.counts);
  showNew(list);
  if (selected.size) showSelection();
}

function subscribe() {
  const { after, newest, limit } = byId("pager").dataset;
  // Of a sorted list, what is new has no place by its id: it is counted, whichever page is shown.
  const params = { filters, ids: ids(), after: newest ? null : after || null, newest: newest || null, limit: Number(limit) };
  if (isUnderstood) live.subscribe("tasks", show, { params });
}

byId("task-list").addEventListener("click", ({ target }) => {
  if (target instanceof Element && target.closest("#new-pill button")) reload();
});
// A list that could not be renewed for the pointer in it is renewed once the pointer has left.
setInterval(() => shown?.new && !document.hidden && !live.isPaused && showNew(shown), 1000);

queryBar(/** @type {HTMLInputElement} */ (byId("q")), byId("suggestions"));
byId("query").addEventListener("submit", () => {
  // An empty query need not be in the address.
  const field = /** @type {HTMLInputElement} */ (byId("q"));
  field.disabled = !field.value.trim();
});
addEventListener("pageshow", () => {
  /** @type {HTMLInputElement} */ (byId("q")).disabled = false;
});

for (const link of document.querySelectorAll("#view-menu nav a")) {
  offer(t("tasks.view", { name: link.textContent?.trim() ?? "" }), () => location.assign(/** @type {HTMLAnchorElement} */ (link).href));
}

subscribe();
