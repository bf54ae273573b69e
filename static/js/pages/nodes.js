// @ts-check
import { ApiError, post } from "../api.js";
import { bind } from "../bind.js";
import { copyButtons } from "../copying.js";
import { byId } from "../dom.js";
import { RowList } from "../list.js";
import { live } from "../live.js";
import { rowCursor } from "../row_cursor.js";
import { steerNode, steerRows } from "../steering.js";
import { t } from "../strings.js";
import { toast } from "../toast.js";

/** @import { NodesDocument } from "../types.d.ts" */

const TOKEN_HOURS = 24;

const rows = byId("node-rows");
const list = new RowList(rows, (row) => row.name);

/** @param {NodesDocument} pool */
function show(pool) {
  bind(byId("nodes-summary"), pool);
  list.show(pool.nodes);
  byId("node-table").hidden = !pool.nodes.length;
  byId("no-nodes").hidden = pool.nodes.length > 0;
}

async function makeToken() {
  const button = /** @type {HTMLButtonElement} */ (byId("make-token"));
  button.disabled = true;
  try {
    const wanted = { label: "dashboard", uses: 1, expires_in_seconds: TOKEN_HOURS * 3600 };
    const { token } = await post("nodes/enrolment-tokens", wanted);
    byId("join-token").textContent = token;
    const note = byId("token-note");
    const words = note.querySelector("span");
    if (words) words.textContent = t("node.token_made", { hours: TOKEN_HOURS });
    note.hidden = false;
  } catch (problem) {
    toast(problem instanceof ApiError ? problem.message : String(problem), { tone: "bad" });
  } finally {
    button.disabled = false;
  }
}

copyButtons();
rowCursor(() => rows);
steerRows(rows, steerNode);
document.getElementById("make-token")?.addEventListener("click", makeToken);
live.subscribe("nodes", show);
