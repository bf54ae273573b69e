// @ts-check
// A list of rows on the page that follows a list of data. Rows are changed in place; while the pointer or the keyboard
// is inside the list nothing is added, removed or moved, so that nobody presses the wrong row.

import { bind } from "./bind.js";

/** @template [R=any] the shape of a row */
export class RowList {
  #container;
  #template;
  #keyOf;
  #filled;
  /** @type {R[]} */
  #rows = [];
  #waits = false;

  /**
   * @param {HTMLElement} container Its children carry data-key; its data-list names the `<template>` of a row.
   * @param {(row: R) => string} keyOf
   * @param {(element: HTMLElement, row: R) => void} [filled] called after a row was filled
   */
  constructor(container, keyOf, filled = () => {}) {
    this.#container = container;
    this.#template = /** @type {HTMLTemplateElement} */ (document.getElementById(container.dataset.list ?? ""));
    this.#keyOf = keyOf;
    this.#filled = filled;
    for (const leave of ["pointerleave", "focusout"]) {
      container.addEventListener(leave, () => queueMicrotask(() => this.#waits && this.show(this.#rows)));
    }
  }

  /**
   * Show `rows` in their order.
   * @param {R[]} rows
   */
  show(rows) {
    this.#rows = rows;
    const present = new Map(this.elements().map((element) => [element.dataset.key ?? "", element]));
    for (const row of rows) {
      const element = present.get(this.#keyOf(row));
      if (element) this.#fill(element, row);
    }
    const isSame = rows.length === present.size && rows.every((row) => present.has(this.#keyOf(row)));
    this.#waits = this.isInUse() && present.size > 0;
    if (this.#waits && !isSame) return;
    this.#arrange(rows, present);
  }

  /** The rows on the page. */
  elements() {
    return /** @type {HTMLElement[]} */ ([...this.#container.children]);
  }

  /** Whether someone points at the list or has the focus in it. */
  isInUse() {
    return this.#container.matches(":hover, :focus-within");
  }

  /**
   * @param {HTMLElement} element
   * @param {R} row
   */
  #fill(element, row) {
    bind(element, row);
    this.#filled(element, row);
  }

  /**
   * @param {R[]} rows
   * @param {Map<string, HTMLElement>} present
   */
  #arrange(rows, present) {
    if (this.#waits) return;
    /** @type {ChildNode | null} */
    let next = this.#container.firstElementChild;
    for (const row of rows) {
      const key = this.#keyOf(row);
      const element = present.get(key) ?? this.#made(row);
      present.delete(key);
      if (element === next) next = element.nextElementSibling;
      else this.#container.insertBefore(element, next);
    }
    for (const element of present.values()) element.remove();
  }

  /** @param {R} row */
  #made(row) {
    const copy = /** @type {DocumentFragment} */ (this.#template.content.cloneNode(true));
    const element = /** @type {HTMLElement} */ (copy.firstElementChild);
    this.#fill(element, row);
    element.dataset.key = this.#keyOf(row);
    return element;
  }
}
