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
import { TaskRows } from "../task_rows.js";
import { toast } from "../toast.js";

/** @import { Counts, TasksDocument } from "../types.d.ts" */

const ENDED = new Set(["succeeded", "failed", "cancelled", "expired"]);
const ACTIVE = new Set(["dispatched", "running"]);
const RELOAD_MS = 1_500;
const AT_TOP_PX = 160;
/** Tasks in one request. */
const MAX_STEERED = 1_000;
const FOLLOW_MS = 300;
/** Rows that one subscription follows at most. */
const MAX_FOLLOWED = 500;

/** @type {Record<string, string>} */
const filters = JSON.parse(byId("filter-params").textContent || "{}");
// Of a query that could not be understood there is nothing to follow.
const isUnderstood = !document.getElementById("query-error");
/** Ids of the selected tasks; they stay selected while the list changes. @type {Set<string>} */
const selected = new Set();
let reloadedAt = 0;
let isReloading = false;

const list = new TaskRows(() => follow());
const rows = () => list.all;
const keyOf = (/** @type {HTMLElement} */ row) => row.dataset.key ?? "";
const stateOf = (/** @type {string} */ id) => rows().find((row) => row.dataset.key === id)?.dataset.state ?? "";
const current = rowCursor(rows);

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
    for (const id of rows().map(keyOf)) target.checked ? selected.add(id) : selected.delete(id);
  } else {
    target.checked ? selected.add(target.value) : selected.delete(target.value);
  }
  showSelection();
});

// --- Bulk actions: on exactly the tasks that the button's number counts ----------------------------

/**
 * @param {string} path
 * @param {string[]} ids more than one request takes
 */
async function inBatches(path, ids) {
  const answers = [];
  for (let from = 0; from < ids.length; from += MAX_STEERED) {
    answers.push(await post(path, { ids: ids.slice(from, from + MAX_STEERED) }));
  }
  return answers;
}

function retrySelected() {
  if (matching?.isChosen) return askBulk("retry", matching.query);
  const chosen = endedOf();
  if (!chosen.length) return;
  const n = chosen.length;
  const act = async () => {
    const done = await inBatches("tasks/retry", chosen);
    const left = done.flatMap(({ not_finished }) => not_finished).length;
    const made = done.flatMap(({ created }) => Object.keys(created)).length;
    toast(t("tasks.retry_done", { n: made }) + (left ? ` ${t("tasks.skipped", { n: left })}` : ""));
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
    const answers = await inBatches("tasks/cancel", chosen);
    const [done, asked, left] = ["cancelled", "requested", "too_late"].map((name) => answers.flatMap((one) => one[name]).length);
    toast(t("tasks.cancel_done", { done, asked }) + (left ? ` ${t("tasks.skipped", { n: left })}` : ""));
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
  const isInUse = byId("task-list").matches(":hover, :focus-within");
  return scrollY < AT_TOP_PX && list.isOne && !selected.size && !current() && !isInUse;
}

async function reload() {
  if (isReloading) return;
  isReloading = true;
  try {
    if (!(await list.refill())) {
      // It was empty: the whole of it is another one.
      if (!(await renew("task-list"))) return;
      list.adopt();
    }
    showSelection();
    subscribe();
  } catch {
    // The server is away, which the pill says; the list stays as it is, and the button stays there.
  } finally {
    isReloading = false;
    reloadedAt = performance.now();
  }
}

/** @param {TasksDocument} document */
function showNew(document) {
  const pill = byId("new-pill");
  const isFirstPage = !byId("pager").dataset.after;
  if (!document.new || !isFirstPage) {
    pill.hidden = true;
  } else if (mayMove() && performance.now() - reloadedAt > RELOAD_MS) {
    reload();
  } else {
    const words = pill.querySelector("span");
    if (words) words.textContent = t(document.new_is_capped ? "tasks.new_capped" : "tasks.new", { n: document.new });
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
/** The rows as they were shown last: what has not changed is left alone. @type {WeakMap<Element, unknown>} */
const bound = new WeakMap();
/** Those that the server was asked to follow. @type {string[]} */
let followed = [];
let followTimer = 0;

/** @param {TasksDocument} document */
function show(document) {
  shown = document;
  const byKey = new Map(list.present.map((row) => [row.dataset.key, row]));
  const gone = new Set(followed);
  for (const task of document.rows) {
    const row = byKey.get(task.id);
    gone.delete(task.id);
    if (!row || bound.get(row) === task) continue;
    bound.set(row, task);
    bind(row, task);
  }
  // What was deleted for its age stays readable and can no longer be opened.
  for (const id of gone) byKey.get(id)?.setAttribute("aria-disabled", "true");
  showCounts(document.counts);
  showNew(document);
  if (selected.size) showSelection();
}

function subscribe() {
  clearTimeout(followTimer);
  const { after, newest, limit } = byId("pager").dataset;
  followed = list.present.map(keyOf).slice(0, MAX_FOLLOWED);
  const isWhole = followed.length === rows().length;
  // Of a sorted list, and of a part of one, what is new has no place by its id: what came since is.
  const since = newest || (isWhole || after ? null : keyOf(rows()[0]));
  const params = { filters, ids: followed, after: newest ? null : after || null, newest: since, limit: Number(limit) };
  if (isUnderstood) live.subscribe("tasks", show, { params });
}

/** Follow the rows that are in the document now, once the scrolling pauses. */
function follow() {
  clearTimeout(followTimer);
  followTimer = window.setTimeout(subscribe, FOLLOW_MS);
}

async function freshen() {
  current()?.classList.remove("is-current");
  await reload();
  scrollTo(0, 0);
}

byId("task-list").addEventListener("click", ({ target }) => {
  if (target instanceof Element && target.closest("#new-pill button")) void freshen();
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
