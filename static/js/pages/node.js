// @ts-check
import { bind } from "../bind.js";
import { byId } from "../dom.js";
import { RowList } from "../list.js";
import { live } from "../live.js";
import { rowCursor } from "../row_cursor.js";
import { steerNode } from "../steering.js";

/** @import { NodeDetail } from "../types.d.ts" */

const root = byId("node");
const name = root.dataset.name ?? "";
const running = new RowList(byId("running-rows"), (row) => row.id);
const failed = new RowList(byId("failed-rows"), (row) => row.id);

/** @param {NodeDetail} node */
function show(node) {
  bind(root, node);
  running.show(node.tasks);
  failed.show(node.failures);
  byId("running-table").hidden = !node.tasks.length;
  byId("no-running").hidden = node.tasks.length > 0;
  byId("failed-table").hidden = !node.failures.length;
  byId("no-failed").hidden = node.failures.length > 0;
}

for (const button of root.querySelectorAll("[data-act]")) {
  button.addEventListener("click", () => steerNode(name, button.getAttribute("data-act") ?? ""));
}
rowCursor(() => byId("running-rows"));
live.subscribe(`node:${name}`, show);
