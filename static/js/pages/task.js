// @ts-check
import { ApiError, get, getText } from "../api.js";
import { bind } from "../bind.js";
import { serverNow, everySecond } from "../clock.js";
import { copy, copyButtons } from "../copying.js";
import { byId } from "../dom.js";
import { showJson } from "../json_text.js";
import { onKeys } from "../keys.js";
import { RowList } from "../list.js";
import { live } from "../live.js";
import { LogPanel } from "../log_panel.js";
import { format } from "../row_format.js";
import { cancelTask, retryTask } from "../steering.js";
import { t } from "../strings.js";
import { makeTabs } from "../tabs.js";
import { curl, python } from "../task_form.js";
import { drawTimeline, isMoving } from "../timeline.js";
import { announce, toast } from "../toast.js";
import { ValueView } from "../value_view.js";
import "../waiting_format.js";

/** @import { AttemptRow, ErrorDetail, TaskDocument, TaskEvent } from "../types.d.ts" */

const root = byId("task");
const id = root.dataset.id ?? "";
const timeline = byId("timeline");
const attempts = new RowList(byId("attempt-rows"), (row) => row.id);
const obstacles = new RowList(byId("obstacle-rows"), (row) => row.name);
const relatives = new RowList(byId("related-rows"), (row) => row.id);
const isUnmasked = "unmasked" in root.dataset;
const logs = new LogPanel(id, { isUnmasked, maxLines: Number(byId("log-lines").dataset.maxLines) });

/** @type {TaskDocument | null} */
let task = null;
/** @type {AttemptRow[]} */
let drawn = JSON.parse(byId("attempts-data").textContent || "[]");
let saidState = "";

const happened = new RowList(byId("event-rows"), (row) => row.id);
const older = byId("events-older");
/** @type {TaskEvent[]} */
let events = [];
let openPanel = "";

/** Read the newest events, or (`before` an event) those that came earlier. @param {string} [before] */
async function readEvents(before = "") {
  if (live.isPaused) return;
  try {
    const page = await get(`tasks/${id}/events?${new URLSearchParams(before ? { before } : {})}`);
    const first = page.events[0]?.id ?? "";
    // Older pages that were loaded before stay.
    const kept = before ? events : events.filter((event) => event.id < first);
    if (before || !kept.length) byId("event-rows").dataset.before = page.before ?? "";
    events = before ? [...page.events, ...kept] : [...kept, ...page.events];
    happened.show(events);
    older.hidden = !byId("event-rows").dataset.before;
  } catch (problem) {
    if (!(problem instanceof ApiError)) throw problem;
    toast(problem.message, { tone: "bad" });
  }
}

/** Read the task as the REST API gives it. */
async function readRaw() {
  const box = byId("raw-code");
  try {
    showJson(box, await getText(box.dataset.path ?? ""));
  } catch (problem) {
    if (!(problem instanceof ApiError)) throw problem;
    box.textContent = problem.message;
  }
}
older.addEventListener("click", () => readEvents(byId("event-rows").dataset.before));

const tabs = makeTabs(
  /** @type {HTMLElement} */ (byId("task-tabs").querySelector('[role="tablist"]')),
  (panel) => {
    openPanel = panel;
    logs.open(panel === "logs");
    if (panel === "events" && task) readEvents();
    if (panel === "raw") readRaw();
  },
  { param: "tab" },
);
const goToLine = () => logs.goTo(location.hash, Number(new URLSearchParams(location.search).get("attempt")) || 0);
goToLine();
addEventListener("hashchange", goToLine);
onKeys("[", () => tabs.step(-1));
onKeys("]", () => tabs.step(1));
copyButtons();
byId("copy-id").addEventListener("click", () => copy(id));
const payload = new ValueView("payload");
const result = new ValueView("result");
/** What submits a task like this one. */
const again = () => `${(byId("again-data").textContent ?? "{}").slice(0, -1)}, "payload": ${payload.text}}`;
document.getElementById("copy-curl")?.addEventListener("click", () => copy(curl(location.origin, again())));
document.getElementById("copy-python")?.addEventListener("click", () => copy(python(location.origin, again())));

const draw = () => drawTimeline(timeline, drawn);
new ResizeObserver(draw).observe(timeline.parentElement ?? timeline);
everySecond(() => isMoving(drawn) && draw());

/** @param {TaskDocument} next */
function showResult(next) {
  byId("sanitized").hidden = !next.sanitized;
  byId("no-result").hidden = next.result !== null;
  byId("truncated").hidden = !next.truncated;
  if (next.result !== (task ? task.result : result.text || null)) result.show(next.result);
}

/** @param {ErrorDetail | null} failure */
function showFailure(failure) {
  byId("error").hidden = !failure;
  byId("error-type").textContent = failure?.type ?? "";
  byId("error-message").textContent = failure?.message ?? "";
  byId("error-traceback").textContent = failure?.traceback ?? "";
  byId("error-more").hidden = !failure?.traceback;
}

/** @param {TaskDocument} next */
function showRelated({ related }) {
  byId("no-related").hidden = related.length > 0;
  byId("related-table").hidden = !related.length;
  relatives.show(related);
  byId("related-count").textContent = related.length ? String(related.length) : "";
}

/** @param {TaskDocument} next */
function tell(next) {
  const state = format("task_state", next, serverNow());
  if (saidState && state !== saidState) announce(t("task.announced", { id, state: format("word", state, 0) }), state === "failed" || state === "expired");
  saidState = state;
}

/** @param {TaskDocument} next */
function show(next) {
  bind(root, next);
  attempts.show(next.attempts);
  obstacles.show(next.waiting?.nodes ?? []);
  byId("attempts-table").hidden = !next.attempts.length;
  byId("no-attempts").hidden = next.attempts.length > 0;
  if (next.attempts !== task?.attempts) {
    drawn = next.attempts;
    draw();
  }
  byId("masked").hidden = !next.masked;
  showResult(next);
  showFailure(next.failure);
  showRelated(next);
  logs.take(next);
  byId("logs-count").textContent = logs.total ? format("compact", logs.total, 0) : "";
  tell(next);
  const hasMoved = !task || next.version !== task.version || next.cancel_requested !== task.cancel_requested;
  task = next;
  if (hasMoved && openPanel === "events") readEvents();
  if (hasMoved && openPanel === "raw") readRaw();
}

const isEnded = () => Boolean(task?.finished_at);
const retry = () => isEnded() && retryTask(id);
const cancel = () => task && !isEnded() && cancelTask(id, task.state === "running" || task.state === "dispatched");
byId("copy-link").addEventListener("click", () => copy(location.href));
document.getElementById("retry")?.addEventListener("click", retry);
document.getElementById("cancel")?.addEventListener("click", cancel);
if ("operator" in document.body.dataset) {
  onKeys("r", retry);
  onKeys("c", cancel);
  onKeys("e", () => document.getElementById("clone")?.click());
}

// Live documents are masked: they would take back what an operator asked to see.
if (isUnmasked) logs.take(JSON.parse(byId("logs-data").textContent || "{}"));
else live.subscribe(`task:${id}`, show, { lost: (code) => code === "gone" && toast(t("task.gone"), { tone: "bad" }) });
