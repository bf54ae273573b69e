// @ts-check
import { ApiError, post } from "../api.js";
import { copy } from "../copying.js";
import { byId, make } from "../dom.js";
import { laidOut } from "../json_text.js";
import { format } from "../row_format.js";
import { t } from "../strings.js";
import { makeTabs } from "../tabs.js";
import { curl, jsonError, skeleton, taskCount, taskOf } from "../task_form.js";
import { toast } from "../toast.js";

/** @import { TypeRow } from "../types.d.ts" */

const MEMORY = "taskdist-payload:";
const INDENT = "  ";

const form = /** @type {HTMLFormElement} */ (byId("submit-form"));
const button = /** @type {HTMLButtonElement} */ (byId("submit-button"));
const typeField = /** @type {HTMLInputElement} */ (byId("s-type"));
const payloadField = /** @type {HTMLTextAreaElement} */ (byId("s-payload"));
const jsonField = /** @type {HTMLTextAreaElement} */ (byId("s-json"));
const mayOperate = "operator" in document.body.dataset;

/** @type {TypeRow[]} */
const types = JSON.parse(byId("types-data").textContent || "[]");
let mode = "mode-form";
/** The same while the form stays as it is: pressing twice makes one task. */
let key = newKey();
let isBusy = false;
let isPayloadTouched = payloadField.value !== "";
let isJsonTouched = false;

function newKey() {
  // Not randomUUID(): that is missing where the page is not served over https.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @returns {Record<string, string>} */
function fields() {
  return Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
}

/** @param {string} text */
const pretty = (text) => laidOut(text)?.map(([, piece]) => piece).join("") ?? text;

// --- Errors ----------------------------------------------------------------------------------------

/** @param {string} field a field of the API, such as "labels.gpu" */
const inputOf = (field) => /** @type {HTMLElement | null} */ (form.querySelector(`[name="${CSS.escape(field.split(/[.[]/)[0])}"]`));

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
 * @param {string[]} lines
 */
function showErrors(title, lines) {
  const box = byId("submit-errors");
  const head = box.querySelector("b");
  if (head) head.textContent = title;
  box.querySelector("ul")?.replaceChildren(...lines.map((line) => make("li", {}, line)));
  box.hidden = false;
}

/** @param {{field: string, message: string}[]} wrong */
function markFields(wrong) {
  for (const { field, message } of wrong) {
    const input = inputOf(field);
    if (input) mark(input, message);
    input?.closest("details")?.setAttribute("open", "");
  }
  const first = wrong.map(({ field }) => inputOf(field)).find(Boolean);
  first?.focus();
}

/** @param {unknown} problem */
function showProblem(problem) {
  if (!(problem instanceof ApiError)) throw problem;
  const { errors, message } = problem;
  if (mode === "mode-form") {
    const placed = errors.filter(({ field }) => field && inputOf(field));
    markFields(placed.map(({ field = "", message: text }) => ({ field, message: text })));
    if (placed.length === errors.length && errors.length) return;
  }
  const lines = errors.map(({ index, field, message: text }) =>
    index === undefined ? [field, text].filter(Boolean).join(": ") : t("submit.error_item", { place: index + 1, field: field ?? "", message: text }),
  );
  showErrors(lines.length ? t("submit.refused") : message, lines);
  byId("submit-errors").focus();
}

// --- Submitting ------------------------------------------------------------------------------------

/** The body to send; null if something is wrong with it, which is then shown. */
function checkedBody() {
  clearErrors();
  if (mode === "mode-json") {
    const text = jsonField.value.trim();
    const message = text && jsonError(text);
    if (text && !message) return text;
    mark(jsonField, text ? t("submit.json_bad", { message }) : t("submit.json_empty"));
    jsonField.focus();
    return null;
  }
  const { body, wrong } = taskOf(fields());
  if (!wrong.length) return body;
  markFields(wrong.map((one) => ({ field: one.field, message: t(one.key, one.values) })));
  return null;
}

/** @param {any} made the API's answer */
function showDone(made) {
  const isMany = Array.isArray(made.ids);
  const text = isMany ? t("submit.done_many", { n: made.ids.length }) : t("submit.done", { id: made.id });
  const href = isMany ? "/tasks/" : format("task_url", made.id, 0);
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
    if (mode === "mode-form") remember();
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
  button.disabled = !mayOperate;
  showButton();
}

// --- Type and payload ------------------------------------------------------------------------------

function remember() {
  try {
    localStorage.setItem(MEMORY + typeField.value.trim(), payloadField.value);
  } catch {
    // Storage is off or full: the payload is not remembered, nothing else is lost.
  }
}

/** @param {string} name */
function remembered(name) {
  try {
    return localStorage.getItem(MEMORY + name);
  } catch {
    return null;
  }
}

function showType() {
  const name = typeField.value.trim();
  const known = types.find((type) => type.name === name);
  const hint = byId("s-type-hint");
  hint.classList.remove("warn-text");
  if (!name) {
    hint.textContent = "";
  } else if (known?.nodes.length) {
    hint.textContent = [known.description, t("submit.nodes", { nodes: known.nodes.join(", ") })].filter(Boolean).join(" ");
  } else {
    hint.textContent = t("submit.no_node");
    hint.classList.add("warn-text");
  }
  if (isPayloadTouched || !name) return;
  const start = known?.schema ? JSON.stringify(skeleton(known.schema), null, 2) : "";
  payloadField.value = remembered(name) ?? start;
  checkPayload();
}

function checkPayload() {
  const text = payloadField.value.trim();
  const message = text && jsonError(text);
  mark(payloadField, message ? t("submit.json_bad", { message }) : "");
}

function showButton() {
  const text = jsonField.value.trim();
  const isMany = mode === "mode-json" && text && !jsonError(text) && taskCount(text) !== 1;
  const words = button.querySelector("span");
  if (words) words.textContent = isMany ? t("submit.button_many", { n: taskCount(text) }) : t("submit.button");
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

makeTabs(/** @type {HTMLElement} */ (form.querySelector('[role="tablist"]')), (panel) => {
  mode = panel;
  if (panel === "mode-json" && !isJsonTouched) {
    const { body, wrong } = taskOf(fields());
    jsonField.value = wrong.some(({ field }) => field === "payload") ? "" : pretty(body);
  }
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
  if (target === payloadField) isPayloadTouched = payloadField.value !== "";
  if (target === jsonField) isJsonTouched = jsonField.value !== "";
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
byId("submit-again").addEventListener("click", another);
byId("copy-curl").addEventListener("click", () => {
  const body = checkedBody();
  if (body !== null) copy(curl(location.origin, body));
});
for (const hint of form.querySelectorAll("[data-zone]")) hint.textContent = `${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
indents(payloadField);
indents(jsonField);
if (payloadField.value) payloadField.value = pretty(payloadField.value);
showType();
