// @ts-check
// The command palette, Ctrl K: go to a page, task, node, queue or type, or do what the page has shortcuts for. A combobox
// in a dialog, in the way of the ARIA practices: the focus stays in the field, the arrow keys choose.

import { copy } from "./copying.js";
import { byId, make } from "./dom.js";
import { shortcuts } from "./keys.js";
import { MAX_SHOWN, matching, taskId } from "./palette_match.js";
import { format } from "./row_format.js";
import { t } from "./strings.js";

/** @import { Entry } from "./palette_match.js" */
/** @typedef {Entry & {run: () => void}} Command */

const dialog = /** @type {HTMLDialogElement} */ (byId("palette"));
const field = /** @type {HTMLInputElement} */ (byId("palette-field"));
const list = byId("palette-list");
/** Kept for a moment: a palette that is opened twice in a row asks once. */
const FRESH_MS = 30_000;

/** What the page can do besides its shortcuts. @type {Command[]} */
const own = [];
/** @type {Command[]} */
let named = [];
let namedAt = -FRESH_MS;
/** @type {Command[]} */
let shown = [];
let chosen = 0;

/**
 * Offer a command on this page.
 * @param {string} text
 * @param {() => void} run
 */
export const offer = (text, run) => void own.push({ text, kind: t("palette.command"), run });

/** @param {string} text @param {string} kind @param {string} address @returns {Command} */
const place = (text, kind, address) => ({ text, kind, run: () => location.assign(address) });

/** The pages, as the rail and the account's menu have them. */
function pages() {
  const links = /** @type {HTMLAnchorElement[]} */ ([...document.querySelectorAll(".rail-link, #user-menu a")]);
  const byAddress = new Map(links.map((link) => [link.href, link]));
  return [...byAddress.values()].map((link) => place(link.textContent?.trim() ?? "", t("palette.page"), link.href));
}

/** @returns {Command[]} */
function commands() {
  const pressed = shortcuts()
    .filter(({ keys, isCommand }) => isCommand && !keys.startsWith("g "))
    .map(({ keys, label, action }) => ({ text: label, kind: t("palette.command"), keys, run: () => action() }));
  return [...own, ...pressed, { text: t("palette.copy_link"), kind: t("palette.command"), run: () => void copy(location.href) }];
}

/** @param {string} path @returns {Promise<{name: string}[]>} nothing if it cannot be had: the rest of the palette works */
async function rowsOf(path) {
  const answer = await fetch(`/api/v1/${path}`, { headers: { Accept: "application/json" } }).catch(() => null);
  return answer?.ok ? ((await answer.json())[path] ?? []) : [];
}

/** @param {{name: string}} type @returns {Command} */
const submitting = ({ name }) =>
  place(t("palette.submit", { name }), t("palette.command"), `/submit/?${new URLSearchParams({ type: name })}`);

/** Its page asks until when, and shows what it holds. @param {{name: string}} node @returns {Command} */
const draining = ({ name }) =>
  place(t("palette.drain", { name }), t("palette.command"), `${format("node_url", name, 0)}#drain`);

async function learnNames() {
  if (performance.now() - namedAt < FRESH_MS) return;
  namedAt = performance.now();
  const [nodes, queues, types] = await Promise.all(["nodes", "queues", "types"].map(rowsOf));
  const mayOperate = "operator" in document.body.dataset;
  named = [
    ...nodes.map(({ name }) => place(name, t("palette.node"), format("node_url", name, 0))),
    ...queues.map(({ name }) => place(name, t("palette.queue"), format("queue_tasks_url", name, 0))),
    ...types.map(({ name }) => place(name, t("palette.type"), `/types/${encodeURIComponent(name)}/`)),
    ...(mayOperate ? [...types.map(submitting), ...nodes.map(draining)] : []),
  ];
  if (!dialog.open) return;
  // What somebody has moved to stays chosen: the names come a moment later. The first stays the first, whatever it is.
  const { text, kind } = (chosen > 0 && shown[chosen]) || {};
  show();
  choose(shown.findIndex((command) => command.text === text && command.kind === kind));
}

function show() {
  const query = field.value;
  const id = taskId(query);
  const found = matching([...pages(), ...commands(), ...named], query);
  const text = query.trim();
  if (id) found.unshift(place(t("palette.task", { id }), t("palette.page"), format("task_url", id, 0)));
  else if (text) found.push(place(t("palette.search", { text }), t("palette.page"), `/jump/?${new URLSearchParams({ q: text })}`));
  shown = found.slice(0, MAX_SHOWN + 1);
  choose(0);
}

/** @param {number} at */
function choose(at) {
  chosen = Math.min(Math.max(at, 0), Math.max(shown.length - 1, 0));
  list.replaceChildren(...shown.map((command, i) => option(command, i)));
  field.setAttribute("aria-activedescendant", shown.length ? `palette-${chosen}` : "");
  list.children[chosen]?.scrollIntoView({ block: "nearest" });
}

/** @param {Command} command @param {number} i */
function option(command, i) {
  const item = make(
    "li",
    { role: "option", id: `palette-${i}`, "aria-selected": String(i === chosen) },
    make("span", { class: "clip" }, command.text),
    make("span", { class: "meta" }, command.kind ?? ""),
  );
  for (const key of command.keys?.split(" ") ?? []) item.append(make("kbd", {}, key));
  item.addEventListener("click", () => run(command));
  return item;
}

/** @param {Command | undefined} command */
function run(command) {
  if (!command) return;
  dialog.close();
  command.run();
}

/** Open the palette, unless another dialog is open. */
export function openPalette() {
  if (document.querySelector("dialog[open]")) return;
  field.value = "";
  show();
  dialog.showModal();
  field.focus();
  void learnNames();
}

field.addEventListener("input", show);
field.addEventListener("keydown", (event) => {
  const to = { ArrowDown: chosen + 1, ArrowUp: chosen - 1, PageDown: shown.length, PageUp: 0 }[event.key];
  if (to !== undefined) {
    event.preventDefault();
    choose(to);
  } else if (event.key === "Enter" && !event.isComposing) {
    event.preventDefault();
    run(shown[chosen]);
  }
});
addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || event.key.toLowerCase() !== "k") return;
  event.preventDefault();
  if (dialog.open) dialog.close();
  else openPalette();
});
