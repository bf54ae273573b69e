// @ts-check
import { ApiError, post } from "../api.js";
import { bind } from "../bind.js";
import { copyButtons } from "../copying.js";
import { byId } from "../dom.js";
import { steerNode } from "../draining.js";
import { RowList } from "../list.js";
import { live } from "../live.js";
import { inTurn, namedSquares } from "../node_map.js";
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
const cells = map && new RowList(map, (row) => row.name, (element) => inTurn(map, element));
/** The token that was made here, until a node has come with it. */
let awaited = "";

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

copyButtons();
if (map) namedSquares(map, byId("node-cell-label"));
rowCursor(() => rows);
steerRows(rows, steerNode);
byId("make-token").addEventListener("click", makeToken);
// With a filter in it; what it is about is the same.
live.subscribe(/** @type {"nodes"} */ (summary.dataset.topic ?? "nodes"), show);
