// @ts-check
import { byId } from "../dom.js";
import { RowList } from "../list.js";
import { live } from "../live.js";
import { rowCursor } from "../row_cursor.js";

/** @import { TypesDocument } from "../types.d.ts" */

const rows = byId("type-rows");
const list = new RowList(rows, (row) => row.name);

/** @param {TypesDocument} all */
function show(all) {
  list.show(all.types);
  byId("type-table").hidden = !all.types.length;
  byId("no-types").hidden = all.types.length > 0;
}

rowCursor(() => rows);
live.subscribe("types", show);
