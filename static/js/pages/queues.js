// @ts-check
import { byId } from "../dom.js";
import { RowList } from "../list.js";
import { live } from "../live.js";
import { rowCursor } from "../row_cursor.js";
import { steerQueue, steerRows } from "../steering.js";

/** @import { QueuesDocument } from "../types.d.ts" */

const rows = byId("queue-rows");
const list = new RowList(rows, (row) => row.name);

/** @param {QueuesDocument} all */
function show(all) {
  list.show(all.queues);
  byId("queue-table").hidden = !all.queues.length;
  byId("no-queues").hidden = all.queues.length > 0;
}

rowCursor(() => rows);
steerRows(rows, steerQueue);
live.subscribe("queues", show);
