// @ts-check
import { bind } from "../bind.js";
import { serverNow, everySecond } from "../clock.js";
import { copy, copyButtons } from "../copying.js";
import { byId, make } from "../dom.js";
import { showJson } from "../json_text.js";
import { onKeys } from "../keys.js";
import { RowList } from "../list.js";
import { live } from "../live.js";
import { LogView } from "../log_view.js";
import { format } from "../row_format.js";
import { cancelTask, retryTask } from "../steering.js";
import { t } from "../strings.js";
import { makeTabs } from "../tabs.js";
import { drawTimeline } from "../timeline.js";
import { announce, toast } from "../toast.js";

/** @import { AttemptRow, ErrorDetail, TaskDocument } from "../types.d.ts" */

const root = byId("task");
const id = root.dataset.id ?? "";
const timeline = byId("timeline");
const attempts = new RowList(byId("attempt-rows"), (row) => row.id);
const obstacles = new RowList(byId("obstacle-rows"), (row) => row.name);
const logs = new LogView(byId("log-lines"), byId("log-follow"), /** @type {HTMLSelectElement} */ (byId("log-level")));

/** @type {TaskDocument | null} */
let task = null;
/** @type {AttemptRow[]} */
let drawn = JSON.parse(byId("attempts-data").textContent || "[]");
let saidState = "";

const openTab = makeTabs(/** @type {HTMLElement} */ (byId("task-tabs").querySelector('[role="tablist"]')), (panel) => {
  if (panel === "logs" && !/^#L\d/.test(location.hash)) logs.follow();
});
copyButtons();
byId("copy-id").addEventListener("click", () => copy(id));
showJson(byId("payload-code"), byId("payload-code").textContent ?? "");
if (byId("result-code").textContent) showJson(byId("result-code"), byId("result-code").textContent ?? "");

const draw = () => drawTimeline(timeline, drawn);
new ResizeObserver(draw).observe(timeline.parentElement ?? timeline);
everySecond(() => {
  if (drawn.some(({ outcome }) => outcome === "running" || outcome === "dispatched")) draw();
});

/** @param {TaskDocument} next */
function showResult(next) {
  byId("sanitized").hidden = !next.sanitized;
  if (next.result === task?.result && next.truncated === task?.truncated) return;
  byId("no-result").hidden = next.result !== null;
  byId("result-box").hidden = next.result === null;
  byId("truncated").hidden = !next.truncated;
  showJson(byId("result-code"), next.result ?? "");
}

/** @param {ErrorDetail | null} failure */
function showFailure(failure) {
  byId("no-error").hidden = Boolean(failure);
  byId("error-box").hidden = !failure;
  byId("error-mark").textContent = failure ? "!" : "";
  byId("error-type").textContent = failure?.type ?? "";
  byId("error-message").textContent = failure?.message ?? "";
  byId("error-traceback").textContent = failure?.traceback ?? "";
  /** @type {HTMLElement} */ (byId("error-traceback").parentElement).hidden = !failure?.traceback;
}

/** @param {TaskDocument} next */
function showRelated(next) {
  const { retry_of: origin, retries } = next;
  byId("no-related").hidden = Boolean(origin || retries.length);
  byId("retries-box").hidden = !retries.length;
  byId("retries").replaceChildren(
    ...retries.map((retry) =>
      make("li", { class: "chip" }, make("a", { href: format("task_url", retry, 0) }, `#${retry}`)),
    ),
  );
  const related = retries.length + (origin ? 1 : 0);
  byId("related-count").textContent = related ? String(related) : "";
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
  logs.show(next.logs);
  byId("log-count").textContent = logs.size ? format("compact", logs.size, 0) : "";
  tell(next);
  if (!task && !location.hash) openFirst(next);
  task = next;
}

/** What a reader most likely came for. @param {TaskDocument} next */
function openFirst(next) {
  if (next.state === "failed") openTab("error");
  else if (next.state === "succeeded") openTab("result");
  else if (next.logs.length) openTab("logs");
}

const isEnded = () => Boolean(task?.finished_at);
const retry = () => isEnded() && retryTask(id);
const cancel = () => task && !isEnded() && cancelTask(id, task.state === "running" || task.state === "dispatched");
document.getElementById("retry")?.addEventListener("click", retry);
document.getElementById("cancel")?.addEventListener("click", cancel);
if ("operator" in document.body.dataset) {
  onKeys("r", retry);
  onKeys("c", cancel);
}

// Live documents are masked: they would take back what an operator asked to see.
if (!("unmasked" in root.dataset)) live.subscribe(`task:${id}`, show, { lost: (code) => code === "gone" && toast(t("task.gone"), { tone: "bad" }) });
