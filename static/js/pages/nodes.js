// @ts-check
import { ApiError, post } from "../api.js";
import { bind } from "../bind.js";
import { copyButtons } from "../copying.js";
import { byId } from "../dom.js";
import { steerNode } from "../draining.js";
import { RowList } from "../list.js";
import { live } from "../live.js";
import { format } from "../row_format.js";
import { rowCursor } from "../row_cursor.js";
import { steerRows } from "../steering.js";
import { t } from "../strings.js";
import { toast } from "../toast.js";

/** @import { NodesDocument } from "../types.d.ts" */

const TOKEN_HOURS = 24;

const summary = byId("nodes-summary");
const rows = byId("node-rows");
const list = new RowList(rows, (row) => row.name);
const map = document.getElementById("node-cells");
const cells = map && new RowList(map, (row) => row.name, inTurn);
/** The token that was made here, until a node has come with it. */
let awaited = "";

/** One square is reached by Tab, the others from it by the arrow keys. @param {HTMLElement} element */
function inTurn(element) {
  const link = /** @type {HTMLElement} */ (element.firstElementChild);
  if (!link.hasAttribute("tabindex")) link.tabIndex = map?.querySelector("[tabindex='0']") ? -1 : 0;
}

/** @param {NodesDocument} pool */
function show(pool) {
  bind(summary, pool);
  bind(byId("node-statuses"), pool);
  list.show(pool.nodes);
  cells?.show(pool.cells);
  const table = document.getElementById("node-table");
  if (table) table.hidden = !pool.nodes.length;
  byId("no-nodes").hidden = pool.nodes.length > 0;
  const more = byId("node-more");
  more.hidden = pool.nodes.length === pool.matching;
  const words = more.querySelector("span");
  if (words) words.textContent = t("node.shown", { n: pool.nodes.length, all: pool.matching });
  sayJoined(pool);
}

/** @param {NodesDocument} pool */
function sayJoined(pool) {
  const found = awaited && pool.enrolments.find(({ token }) => awaited.startsWith(token));
  if (!found) return;
  awaited = "";
  const done = byId("join-done");
  const link = /** @type {HTMLAnchorElement} */ (done.querySelector("a"));
  link.textContent = t("node.joined", { name: found.node });
  link.href = format("node_url", found.node, 0);
  byId("join-waiting").hidden = true;
  byId("token-note").hidden = true;
  done.hidden = false;
}

async function makeToken() {
  const button = /** @type {HTMLButtonElement} */ (byId("make-token"));
  button.disabled = true;
  try {
    const wanted = { label: "dashboard", uses: 1, expires_in_seconds: TOKEN_HOURS * 3600 };
    const { token } = await post("nodes/enrolment-tokens", wanted);
    for (const place of document.querySelectorAll("[data-token]")) place.textContent = token;
    say("token-note", t("node.token_made", { hours: TOKEN_HOURS }));
    say("join-waiting", t("node.join_waiting"));
    byId("join-done").hidden = true;
    awaited = token;
  } catch (problem) {
    toast(problem instanceof ApiError ? problem.message : String(problem), { tone: "bad" });
  } finally {
    button.disabled = false;
  }
}

/** @param {string} id @param {string} text */
function say(id, text) {
  const words = byId(id).querySelector("span");
  if (words) words.textContent = text;
  byId(id).hidden = false;
}

/** @param {HTMLElement} area */
function namedSquares(area) {
  const label = byId("node-cell-label");
  /** @param {Event} event */
  const name = (event) => {
    const link = event.target instanceof Element && event.target.closest(".node-cell");
    if (link) label.textContent = link.getAttribute("aria-label");
  };
  area.addEventListener("pointerover", name);
  area.addEventListener("focusin", name);
  for (const item of area.children) inTurn(/** @type {HTMLElement} */ (item));
  area.addEventListener("keydown", (event) => {
    const item = event.target instanceof Element ? event.target.closest("li") : null;
    const next = item && neighbour(area, item, event.key);
    if (!next) return;
    event.preventDefault();
    for (const other of area.querySelectorAll("[tabindex='0']")) other.setAttribute("tabindex", "-1");
    const link = /** @type {HTMLElement} */ (next.firstElementChild);
    link.tabIndex = 0;
    link.focus();
  });
}

/**
 * Where an arrow key leads from a square.
 * @param {HTMLElement} area
 * @param {Element} item
 * @param {string} key
 */
function neighbour(area, item, key) {
  if (key === "ArrowRight") return item.nextElementSibling;
  if (key === "ArrowLeft") return item.previousElementSibling;
  if (key === "Home") return area.firstElementChild;
  if (key === "End") return area.lastElementChild;
  if (key !== "ArrowDown" && key !== "ArrowUp") return null;
  const items = [...area.children];
  const perRow = items.filter((one) => one.getBoundingClientRect().top === items[0].getBoundingClientRect().top).length;
  return items[items.indexOf(item) + (key === "ArrowDown" ? perRow : -perRow)] ?? null;
}

copyButtons();
if (map) namedSquares(map);
rowCursor(() => rows);
steerRows(rows, steerNode);
byId("make-token").addEventListener("click", makeToken);
// With a filter in it; what it is about is the same.
live.subscribe(/** @type {"nodes"} */ (summary.dataset.topic ?? "nodes"), show);
