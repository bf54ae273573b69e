// @ts-check
import { byId } from "../dom.js";
import { RowList } from "../list.js";
import { live } from "../live.js";
import { rowCursor } from "../row_cursor.js";

const rows = byId("bulk-rows");
const list = new RowList(rows, (row) => row.id);

rowCursor(() => rows);
// An older page stays as it is.
if (!rows.dataset.after) {
  live.subscribe("bulk", ({ jobs }) => {
    list.show(jobs);
    byId("bulk-table").hidden = !jobs.length;
    byId("no-bulk").hidden = jobs.length > 0;
  });
}
