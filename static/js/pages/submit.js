// @ts-check
import { ApiError, newKey, post } from "../api.js";
import { copyButtons } from "../copying.js";
import { byId, make } from "../dom.js";
import { pretty } from "../json_text.js";
import { formOf, rowsOf } from "../many_rows.js";
import { PayloadPanel } from "../payload_panel.js";
import { format } from "../row_format.js";
import { t } from "../strings.js";
import { makeTabs } from "../tabs.js";
import { curl, jsonError, manyOf, python, taskCount, taskOf } from "../task_form.js";
import { toast } from "../toast.js";
import { zoneName } from "../zone.js";

const INDENT = "  ";
const PREVIEWED = 5;
/** Lines named at once. */
const MAX_TOLD = 20;

const form = /** @type {HTMLFormElement} */ (byId("submit-form"));
const button = /** @type {HTMLButtonElement} */ (byId("submit-button"));
const typeField = /** @type {HTMLInputElement} */ (byId("s-type"));
const payloadField = /** @type {HTMLTextAreaElement} */ (byId("s-payload"));
const jsonField = /** @type {HTMLTextAreaElement} */ (byId("s-json"));
const manyField = /** @type {HTMLTextAreaElement} */ (byId("s-many"));
const manyForm = /** @type {HTMLSelectElement} */ (byId("s-many-form"));
const mayOperate = "operator" in document.body.dataset;
const payload = new PayloadPanel();

/** @type {any[]} */
const types = JSON.parse(byId("types-data").textContent || "[]");
/** @type {{online: number, any: number}} */
const pool = JSON.parse(byId("pool-data").textContent || "{}");
let mode = "mode-form";
/** The same while the form stays as it is: pressing twice makes one task. */
let key = newKey();
let isBusy = false;
let isJsonTouched = false;

/** @returns {Record<string, string>} */
function fields() {
  return Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
}

const knownType = () => types.find((type) => type.name === typeField.value.trim());

// --- Errors ----------------------------------------------------------------------------------------

/** @param {string} field a field of the API, such as "labels.gpu" or "payload.frame" */
const inputOf = (field) =>
  /^payload\b/.test(field)
    ? payload.inputOf(field)
    : /** @type {HTMLElement | null} */ (form.querySelector(`[name="${CSS.escape(field.split(/[.[]/)[0])}"]`));

/** @param {HTMLElement} input @param {string} message */
function mark(input, message) {
  const place = document.getElementById(`${input.id}-error`);
  if (place) place.textContent = message;
  input.toggleAttribute("aria-invalid", Boolean(message));
  if (message) input.setAttribute("aria-invalid", "true");
}

function clearErrors() {
  for (const input of form.querySelectorAll(".input, .textarea")) mark(/** @type {HTMLElement} */ (input), "");
  byId("submit-errors").hidden = true;
}

/**
 * @param {string} title
 * @param {(string | Node)[]} lines
 */
function showErrors(title, lines) {
  const box = byId("submit-errors");
  const head = box.querySelector("b");
  if (head) head.textContent = title;
  box.querySelector("ul")?.replaceChildren(...lines.map((line) => make("li", {}, line)));
  box.hidden = false;
}

/** A line of the summary that leads to its field. @param {HTMLElement} input @param {string} message */
function errorLink(input, message) {
  const name = form.querySelector(`label[for="${CSS.escape(input.id)}"]`)?.textContent?.replace(/\s*\*$/, "") ?? "";
  const link = make("a", { href: `#${input.id}` }, [name, message].filter(Boolean).join(": "));
  link.addEventListener("click", (event) => {
    event.preventDefault();
    input.focus();
  });
  return link;
}

/** @param {{field: string, message: string}[]} wrong */
function markFields(wrong) {
  /** @type {HTMLElement[]} */
  const lines = [];
  for (const { field, message } of wrong) {
    const input = inputOf(field);
    if (!input) continue;
    // What has no field of its own is said with its name.
    const text = input === payloadField && field !== "payload" ? `${field}: ${message}` : message;
    mark(input, text);
    input.closest("details")?.setAttribute("open", "");
    lines.push(errorLink(input, text));
  }
  if (!lines.length) return;
  showErrors(t("submit.refused"), lines);
  inputOf(wrong[0].field)?.focus();
}

/** @param {unknown} problem */
function showProblem(problem) {
  if (!(problem instanceof ApiError)) throw problem;
  const { errors, message } = problem;
  if (mode !== "mode-json" && mode !== "mode-many") {
    const placed = errors.filter(({ field }) => field && inputOf(field));
    if (placed.length === errors.length && errors.length) {
      makeVisible("mode-form");
      markFields(placed.map(({ field = "", message: text }) => ({ field, message: text })));
      return;
    }
  }
  const { rows } = mode === "mode-many" ? manyRows() : { rows: [] };
  const lines = errors.map(({ index, field, message: text }) => {
    if (index === undefined) return [field, text].filter(Boolean).join(": ");
    if (rows[index]) return t("many.line", { line: rows[index].line, message: [field, text].filter(Boolean).join(": ") });
    return t("submit.error_item", { place: index + 1, field: field ?? "", message: text });
  });
  showErrors(lines.length ? t("submit.refused") : message, lines);
  byId("submit-errors").focus();
}

// --- What is submitted -----------------------------------------------------------------------------

/** The task of the form; null if something is wrong with it, which is then shown. */
function formBody() {
  const inFields = payload.check();
  const { body, wrong } = taskOf(fields());
  const all = [...wrong.map((one) => ({ field: one.field, message: t(one.key, one.values) })), ...inFields];
  if (!all.length) return body;
  makeVisible("mode-form");
  markFields(all);
  return null;
}

function manyRows() {
  const text = manyField.value;
  return rowsOf(text, /** @type {"jsonl" | "csv"} */ (manyForm.value || formOf(text)), knownType()?.schema);
}

function manyBody() {
  const { rows, bad } = manyRows();
  if (bad.length || !rows.length || !typeField.value.trim()) {
    const lines = bad.slice(0, MAX_TOLD).map(({ line, key: text, values }) => t("many.line", { line, message: t(text, values) }));
    if (lines.length) showErrors(t("submit.refused"), lines);
    mark(manyField, lines.length ? lines[0] : t(rows.length ? "many.no_type" : "many.none"));
    manyField.focus();
    return null;
  }
  const { body, wrong } = taskOf({ ...fields(), payload: "null" });
  if (!wrong.length) return manyOf(body, rows.map(({ json }) => json));
  makeVisible("mode-form");
  markFields(wrong.map((one) => ({ field: one.field, message: t(one.key, one.values) })));
  return null;
}

/** The body to send; null if something is wrong with it, which is then shown. */
function checkedBody() {
  clearErrors();
  if (mode === "mode-many") return manyBody();
  if (mode !== "mode-json") return formBody();
  const text = jsonField.value.trim();
  const message = text && jsonError(text);
  if (text && !message) return text;
  mark(jsonField, text ? t("submit.json_bad", { message }) : t("submit.json_empty"));
  jsonField.focus();
  return null;
}

/** @param {any} made the API's answer */
function showDone(made) {
  const isMany = Array.isArray(made.ids);
  const text = isMany ? t("submit.done_many", { n: made.ids.length }) : t("submit.done", { id: made.id });
  const ofType = mode === "mode-many" ? format("type_tasks_url", typeField.value.trim(), 0) : "/tasks/";
  const href = isMany ? ofType : format("task_url", made.id, 0);
  const done = byId("submit-done");
  const [words, link] = /** @type {HTMLElement[]} */ ([done.querySelector("span"), done.querySelector("a")]);
  words.textContent = text;
  link.textContent = t("task.open");
  link.setAttribute("href", href);
  done.hidden = false;
  toast(text, { href, link: t("task.open") });
}

async function submit() {
  if (isBusy || !mayOperate) return;
  const body = checkedBody();
  if (body === null) return;
  isBusy = true;
  button.setAttribute("aria-busy", "true");
  try {
    showDone(await post("tasks", body, { "Idempotency-Key": key }));
    if (mode !== "mode-json" && mode !== "mode-many") payload.remember();
    button.disabled = true;
  } catch (problem) {
    showProblem(problem);
  } finally {
    isBusy = false;
    button.removeAttribute("aria-busy");
  }
}

function another() {
  key = newKey();
  byId("submit-done").hidden = true;
  button.disabled = false;
  showButton();
}

// --- Type, payload, many ---------------------------------------------------------------------------

function showType() {
  const name = typeField.value.trim();
  const known = knownType();
  const hint = byId("s-type-hint");
  const capable = (known?.nodes.length ?? 0) + pool.any;
  const versions = (known?.versions ?? []).map((/** @type {string} */ version) => `v${version.replace(/^v/, "")}`).join(", ");
  const capacity = t("submit.capable", { n: capable, of: pool.online });
  hint.classList.toggle("warn-text", Boolean(name) && !capable);
  hint.textContent = name ? [versions, known?.description, capacity, capable ? "" : t("submit.no_node")].filter(Boolean).join(" ") : "";
  payload.setType(name, known?.schema);
}

function checkPayload() {
  const text = payloadField.value.trim();
  const message = text && jsonError(text);
  mark(payloadField, message ? t("submit.json_bad", { message }) : "");
}

function showMany() {
  const { rows, bad } = manyField.value.trim() ? manyRows() : { rows: [], bad: [] };
  const name = typeField.value.trim();
  byId("many-head").textContent = name ? t("many.head", { type: name }) : t("many.no_type");
  byId("many-preview").hidden = !rows.length;
  byId("many-rows").replaceChildren(...rows.slice(0, PREVIEWED).map(({ json }) => make("li", {}, make("code", {}, json.slice(0, 300)))));
  const told = bad.slice(0, MAX_TOLD).map(({ line, key: text, values }) => t("many.line", { line, message: t(text, values) }));
  mark(manyField, told.join(" · "));
}

function showPrograms() {
  payload.check();
  const { body } = taskOf(fields());
  byId("as-curl").textContent = curl(location.origin, body);
  byId("as-python").textContent = python(location.origin, body);
}

function showButton() {
  const words = button.querySelector("span");
  const text = jsonField.value.trim();
  let count = 1;
  if (mode === "mode-json" && text && !jsonError(text)) count = taskCount(text);
  if (mode === "mode-many" && manyField.value.trim()) count = manyRows().rows.length;
  if (words) words.textContent = count === 1 ? t("submit.button") : t("submit.button_many", { n: count });
}

/**
 * Tab indents in a text area; after Escape it leaves the field, as everywhere.
 * @param {HTMLTextAreaElement} area
 */
function indents(area) {
  let isLeaving = false;
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      isLeaving = true;
    } else if (event.key === "Tab" && !event.shiftKey && !isLeaving) {
      event.preventDefault();
      area.setRangeText(INDENT, area.selectionStart, area.selectionEnd, "end");
      area.dispatchEvent(new Event("input", { bubbles: true }));
    } else {
      isLeaving = false;
    }
  });
}

// --- Wiring ----------------------------------------------------------------------------------------

const { open: makeVisible } = makeTabs(/** @type {HTMLElement} */ (form.querySelector('[role="tablist"]')), (panel) => {
  mode = panel;
  if (panel === "mode-json" && !isJsonTouched) {
    payload.check();
    const { body, wrong } = taskOf(fields());
    jsonField.value = wrong.some(({ field }) => field === "payload") ? "" : pretty(body);
  }
  if (panel === "mode-many") showMany();
  if (panel === "mode-curl" || panel === "mode-python") showPrograms();
  showButton();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
form.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  submit();
});
form.addEventListener("input", ({ target }) => {
  if (target instanceof HTMLElement) mark(target, "");
  if (target === jsonField) isJsonTouched = jsonField.value !== "";
  if (target === manyField || target === manyForm) showMany();
  if (!byId("submit-done").hidden) another();
  showButton();
});
typeField.addEventListener("input", showType);
payloadField.addEventListener("blur", checkPayload);
jsonField.addEventListener("blur", () => {
  const text = jsonField.value.trim();
  const message = text && jsonError(text);
  mark(jsonField, message ? t("submit.json_bad", { message }) : "");
});
byId("s-file").addEventListener("change", async ({ target }) => {
  const file = target instanceof HTMLInputElement && target.files?.[0];
  if (!file) return;
  manyField.value = await file.text();
  showMany();
  showButton();
});
byId("submit-again").addEventListener("click", another);
copyButtons();
for (const hint of form.querySelectorAll("[data-zone]")) hint.textContent = zoneName;
for (const area of [payloadField, jsonField, manyField]) indents(area);
showType();
