// @ts-check
// The rows of the list of tasks: sheet below sheet, as far as somebody scrolls. Of sheets that are far away only the height
// is in the document, so that it stays small and nothing moves; rows come and change in slices, so that nothing waits.

import { bind } from "./bind.js";
import { byId } from "./dom.js";

/** @import { TaskRow } from "./types.d.ts" */
/** @typedef {{rows: TaskRow[], next: string | null, scope: string}} Page */
/** @typedef {{body: HTMLElement, rows: HTMLElement[]}} Sheet */

/** Beyond it the link leads on, to a page that begins there. */
const MAX_ROWS = 2_000;
/** How far from what is seen rows are in the document, and the end brings more of them. */
const NEAR = "1000px 0px";
const AHEAD = "600px 0px";
/** Of one turn of the main thread, in milliseconds. */
const SLICE_MS = 8;

/**
 * Do it to each, in slices.
 * @template T
 * @param {T[]} items
 * @param {(item: T, at: number) => void} act
 */
async function inSlices(items, act) {
  let until = performance.now() + SLICE_MS;
  for (const [at, item] of items.entries()) {
    if (performance.now() > until) {
      await new Promise((done) => setTimeout(done));
      until = performance.now() + SLICE_MS;
    }
    act(item, at);
  }
}

/**
 * A page of the list, from a place on. Throws what `fetch` throws, and at answers that are none.
 * @param {string} after "" for the first
 * @returns {Promise<Page>}
 */
async function fetched(after) {
  const address = new URL(byId("task-list").dataset.rows ?? "", location.href);
  if (after) address.searchParams.set("after", after);
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
  return answer.json();
}

export class TaskRows {
  /** @type {Sheet[]} */
  #sheets = [];
  #isBusy = false;
  #onChange;
  #near = new IntersectionObserver((seen) => this.#place(seen), { rootMargin: NEAR });
  #end = new IntersectionObserver((seen) => seen.at(-1)?.isIntersecting && void this.#grow(), { rootMargin: AHEAD });

  /** @param {() => void} onChange which rows there are, or are in the document, has changed */
  constructor(onChange) {
    this.#onChange = onChange;
    this.adopt();
  }

  /** Take what the page has: it was rendered anew. */
  adopt() {
    this.#near.disconnect();
    const body = document.getElementById("task-rows");
    this.#sheets = body ? [{ body, rows: /** @type {HTMLElement[]} */ ([...body.children]) }] : [];
    this.#watchEnd();
  }

  /** All rows, those that are far away too. */
  get all() {
    return this.#sheets.flatMap(({ rows }) => rows);
  }

  /** Those in the document. */
  get present() {
    return this.all.filter((row) => row.isConnected);
  }

  /** Whether the first sheet is all that there is. */
  get isOne() {
    return this.#sheets.length < 2;
  }

  /**
   * Show the first page as it is now, in the rows that are there. Further sheets go.
   * @returns {Promise<boolean>} false: there is nothing to show it in
   */
  async refill() {
    const [first, ...others] = this.#sheets;
    if (!first || this.#isBusy) return Boolean(first);
    this.#isBusy = true;
    try {
      const { rows, next, scope } = await fetched("");
      for (const { body } of others) body.remove();
      this.#sheets = [first];
      for (const extra of first.rows.splice(rows.length)) extra.remove();
      await inSlices(rows, (row, at) => {
        const element = (first.rows[at] ??= /** @type {HTMLElement} */ (first.body.appendChild(this.#made())));
        element.removeAttribute("aria-disabled");
        bind(element, row);
      });
      const words = document.getElementById("scope");
      if (words && scope) words.textContent = scope;
      this.#lead(next, this.#isFull(rows));
    } finally {
      this.#isBusy = false;
    }
    return true;
  }

  /**
   * A page that is not is where a search ended: to go on from there is for the reader to say.
   * @param {TaskRow[]} rows
   */
  #isFull(rows) {
    return rows.length >= Number(byId("pager").dataset.limit);
  }

  #made() {
    const copy = /** @type {HTMLTemplateElement} */ (byId("row-task")).content.cloneNode(true);
    return /** @type {HTMLElement} */ (/** @type {DocumentFragment} */ (copy).firstElementChild);
  }

  /** Put the next page below the last one. */
  async #grow() {
    const { next } = byId("pager").dataset;
    if (this.#isBusy || !next || this.all.length >= MAX_ROWS) return;
    this.#isBusy = true;
    try {
      const page = await fetched(next);
      const known = new Set(this.all.map((row) => row.dataset.key));
      const rows = page.rows.filter(({ id }) => !known.has(id));
      /** @type {HTMLElement[]} */
      const elements = [];
      await inSlices(rows, (row) => {
        const element = this.#made();
        bind(element, row);
        elements.push(element);
      });
      if (rows.length) this.#append(elements);
      this.#lead(page.next, this.#isFull(page.rows));
    } catch {
      // The link is there, and says what is wrong if it cannot be had either.
      this.#lead(next, false);
    } finally {
      this.#isBusy = false;
    }
  }

  /** @param {HTMLElement[]} rows */
  #append(rows) {
    const [first] = this.#sheets;
    if (this.isOne) this.#near.observe(first.body);
    const body = document.createElement("tbody");
    body.append(...rows);
    first.body.parentElement?.append(body);
    this.#sheets.push({ body, rows });
    // The head is the first row.
    for (const [at, row] of this.all.entries()) row.ariaRowIndex = String(at + 2);
    this.#near.observe(body);
    this.#onChange();
  }

  /**
   * Where the link below leads, and whether rows come by themselves from there on.
   * @param {string | null} next
   * @param {boolean} byItself
   */
  #lead(next, byItself) {
    const pager = byId("pager");
    const link = /** @type {HTMLAnchorElement | null} */ (document.getElementById("older"));
    if (link) {
      link.hidden = !next;
      const address = new URL(byId("task-list").dataset.address ?? "", location.href);
      address.searchParams.set("after", next ?? "");
      link.href = address.href;
    }
    pager.dataset.next = byItself && next ? next : "";
    const table = document.getElementById("task-table");
    if (table) table.ariaRowCount = next ? "-1" : String(this.all.length + 1);
    this.#watchEnd();
  }

  /** Look anew: what is in sight already would not come into it. */
  #watchEnd() {
    this.#end.disconnect();
    if (byId("pager").dataset.next) this.#end.observe(byId("pager"));
  }

  /** @param {IntersectionObserverEntry[]} seen */
  #place(seen) {
    for (const { target, isIntersecting, boundingClientRect } of seen) {
      const sheet = this.#sheets.find(({ body }) => body === target);
      const isPresent = sheet?.rows[0]?.isConnected;
      // What has the focus stays.
      if (!sheet || isIntersecting === isPresent || target.contains(document.activeElement)) continue;
      if (isIntersecting) {
        sheet.body.replaceChildren(...sheet.rows);
      } else {
        const space = document.createElement("tr");
        space.ariaHidden = "true";
        space.className = "space";
        space.style.blockSize = `${boundingClientRect.height}px`;
        sheet.body.replaceChildren(space);
      }
      this.#onChange();
    }
  }
}
