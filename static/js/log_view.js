// @ts-check
// Log lines on the screen, of however many: only those in sight are elements. Lines differ in height; what was on the
// screen is measured, the others are guessed, and what the reader looks at stays where it is when a guess was wrong.
// The view follows the newest line only while the reader is at the end.

import { pieces, plain } from "./ansi.js";
import { make } from "./dom.js";
import { format } from "./row_format.js";
import { t } from "./strings.js";

const NEAR_PX = 24;
const LINE_PX = 24;
const CHAR_PX = 7.3;
/** Lines above and below what is in sight that are elements too. */
const SPARE = 12;
/** A longer line is cut on the screen; a link leads to all of it. */
const CUT_CHARS = 2_000;
const MAX_PASSES = 4;

/** @typedef {import("./log_store.js").Line} Line */

/** Heights of rows, most of them never on the screen: where one begins, and which is where (a Fenwick tree). */
export class Heights {
  #sizes;
  #tree;

  /** @param {ArrayLike<number>} sizes in px */
  constructor(sizes) {
    this.length = sizes.length;
    this.total = 0;
    this.#sizes = Float64Array.from(sizes);
    this.#tree = new Float64Array(sizes.length + 1);
    for (let i = 0; i < sizes.length; i += 1) {
      this.total += sizes[i];
      this.#tree[i + 1] += sizes[i];
      const above = i + 1 + ((i + 1) & -(i + 1));
      if (above <= sizes.length) this.#tree[above] += this.#tree[i + 1];
    }
  }

  /** @param {number} index */
  size(index) {
    return this.#sizes[index];
  }

  /**
   * Row `index` is `size` px high after all. True if that is new.
   * @param {number} index
   * @param {number} size
   */
  set(index, size) {
    const difference = size - this.#sizes[index];
    if (Math.abs(difference) < 0.01) return false;
    this.#sizes[index] = size;
    this.total += difference;
    for (let i = index + 1; i <= this.length; i += i & -i) this.#tree[i] += difference;
    return true;
  }

  /** Where row `index` begins, in px; the end of the last one for one too many. @param {number} index */
  offset(index) {
    let sum = 0;
    for (let i = index; i > 0; i -= i & -i) sum += this.#tree[i];
    return sum;
  }

  /** The row that covers `y` px: the last one below the end, 0 above the first. @param {number} y */
  indexAt(y) {
    let place = 0;
    let rest = y;
    for (let step = 2 ** Math.floor(Math.log2(Math.max(this.length, 1))); step; step >>= 1) {
      const next = place + step;
      if (next <= this.length && this.#tree[next] <= rest) {
        place = next;
        rest -= this.#tree[next];
      }
    }
    return Math.max(Math.min(place, this.length - 1), 0);
  }
}

export class LogView extends EventTarget {
  /** @type {Line[]} */
  lines = [];
  isFollowing = true;
  /** Lines that came while the reader was elsewhere. */
  unseen = 0;

  #box;
  #space = make("div", { class: "log-space" });
  #window = make("div", { class: "log-window" });
  #heights = new Heights([]);
  /** Heights of lines that were on the screen. @type {Map<string, number>} */
  #measured = new Map();
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();
  /** The line at the top, and how far it is scrolled out of sight. */
  #anchor = { id: "", delta: 0 };
  #wrap = true;
  #width = 0;
  #ownTop = -1;
  /** The newest line when the reader left the end. */
  #seen = "";
  #marked = "";
  #query = "";
  #frame = 0;
  /** @type {(line: Line) => string} */
  #address;
  /** @type {(line: Line) => string} */
  #whole;
  #hasAttempts = false;

  /**
   * @param {HTMLElement} box
   * @param {{address: (line: Line) => string, whole: (line: Line) => string}} links where a line is, and all of a long one
   */
  constructor(box, { address, whole }) {
    super();
    this.#box = box;
    this.#address = address;
    this.#whole = whole;
    this.#space.append(this.#window);
    box.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(box);
  }

  /**
   * Show these lines in place of those before.
   * @param {Line[]} lines in order
   * @param {{empty: string, hasAttempts?: boolean}} options
   */
  show(lines, { empty, hasAttempts = false }) {
    this.lines = lines;
    if (hasAttempts !== this.#hasAttempts) this.#forgetRows();
    this.#hasAttempts = hasAttempts;
    if (!lines.length) {
      this.#forgetRows();
      this.#box.replaceChildren(make("p", { class: "empty" }, empty));
    } else if (this.#space.parentElement !== this.#box) {
      this.#box.replaceChildren(this.#space);
    }
    this.#heights = new Heights(lines.map((line) => this.#measured.get(line.id) ?? this.#guess(line)));
    if (this.isFollowing) this.#seen = lines.at(-1)?.id ?? "";
    this.unseen = this.#seen && lines.length ? lines.length - 1 - this.#indexOf(this.#seen) : 0;
    this.#render();
    this.#tell();
  }

  /** Go to the newest line and stay with it. */
  follow() {
    this.isFollowing = true;
    this.#seeAll();
    this.#render();
    this.#tell();
  }

  /** Stay where the view is. */
  stay() {
    this.isFollowing = false;
    this.#hold(this.#box.scrollTop);
    this.#tell();
  }

  /**
   * Bring a line into sight and mark it.
   * @param {string} id
   */
  goTo(id) {
    this.isFollowing = false;
    this.mark(id);
    this.#anchor = { id, delta: -this.#box.clientHeight / 3 };
    this.#render();
    this.#tell();
  }

  /** Mark a line as the one that was asked for. @param {string} id */
  mark(id) {
    this.#marked = id;
    for (const [other, row] of this.#rows) row.classList.toggle("is-target", other === id);
  }

  /** The number of the line at the top. */
  get top() {
    return this.#heights.indexAt(this.#box.scrollTop);
  }

  /** Mark what is looked for within the lines. @param {string} query */
  highlight(query) {
    this.#query = query.toLowerCase();
    this.#forgetRows();
    this.#render();
  }

  /** Break long lines, or let them run on. @param {boolean} wrap */
  wrap(wrap) {
    this.#wrap = wrap;
    this.#box.classList.toggle("no-wrap", !wrap);
    this.#guessAgain();
  }

  /** @param {Line} line */
  #guess(line) {
    if (!this.#wrap || !this.#width) return LINE_PX;
    const perRow = Math.max(this.#width / CHAR_PX, 10);
    return LINE_PX * Math.max(Math.ceil(Math.min(line.text.length, CUT_CHARS) / perRow), 1);
  }

  #guessAgain() {
    this.#measured.clear();
    this.#heights = new Heights(this.lines.map((line) => this.#guess(line)));
    this.#render();
  }

  #resized() {
    const style = this.#rows.values().next().value?.querySelector(".log-text")?.clientWidth;
    const width = style ?? this.#box.clientWidth;
    if (width === this.#width) return this.#later();
    this.#width = width;
    this.#guessAgain();
  }

  #later() {
    this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  #scrolled() {
    const { scrollTop, clientHeight, scrollHeight } = this.#box;
    if (Math.abs(scrollTop - this.#ownTop) >= 1 && clientHeight) {
      const isAtEnd = scrollTop + clientHeight >= scrollHeight - NEAR_PX;
      const hasChanged = isAtEnd !== this.isFollowing;
      this.isFollowing = isAtEnd;
      if (isAtEnd) this.#seeAll();
      this.#hold(scrollTop);
      if (hasChanged) this.#tell();
    }
    this.#later();
  }

  /** @param {number} top */
  #hold(top) {
    const index = this.#heights.indexAt(top);
    this.#anchor = { id: this.lines[index]?.id ?? "", delta: top - this.#heights.offset(index) };
  }

  #render() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (!this.lines.length || !this.#box.clientHeight) return;
    for (let pass = 0; pass < MAX_PASSES; pass += 1) {
      this.#space.style.blockSize = `${this.#heights.total}px`;
      this.#place();
      if (!this.#draw()) return;
    }
  }

  /** Scroll to where the view has to be. */
  #place() {
    let top = this.#box.scrollTop;
    if (this.isFollowing) {
      top = this.#heights.total;
    } else if (this.#anchor.id) {
      const index = this.#indexOf(this.#anchor.id);
      if (index >= 0) top = this.#heights.offset(index) + this.#anchor.delta;
    }
    if (Math.abs(top - this.#box.scrollTop) < 1) return;
    this.#box.scrollTop = top;
    this.#ownTop = this.#box.scrollTop;
  }

  /** @param {string} id */
  #indexOf(id) {
    const [attempt, n] = id.split(".").map(Number);
    let low = 0;
    let high = this.lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const line = this.lines[middle];
      if (line.attempt < attempt || (line.attempt === attempt && line.n < n)) low = middle + 1;
      else high = middle;
    }
    return Math.min(low, this.lines.length - 1);
  }

  /** Draw what is in sight. True if a guess was wrong, so that it has to be done again. */
  #draw() {
    const { scrollTop, clientHeight } = this.#box;
    const first = Math.max(this.#heights.indexAt(scrollTop) - SPARE, 0);
    const last = Math.min(this.#heights.indexAt(scrollTop + clientHeight) + SPARE, this.lines.length - 1);
    /** @type {Map<string, HTMLElement>} */
    const rows = new Map();
    for (let i = first; i <= last; i += 1) {
      const line = this.lines[i];
      rows.set(line.id, this.#rows.get(line.id) ?? this.#row(line));
    }
    for (const [id, row] of this.#rows) if (!rows.has(id)) row.remove();
    let next = this.#window.firstElementChild;
    for (const row of rows.values()) {
      if (row === next) next = row.nextElementSibling;
      else this.#window.insertBefore(row, next);
    }
    this.#rows = rows;
    this.#window.style.transform = `translateY(${this.#heights.offset(first)}px)`;
    let isWrong = false;
    let i = first;
    for (const [id, row] of rows) {
      const height = row.getBoundingClientRect().height;
      this.#measured.set(id, height);
      isWrong = this.#heights.set(i, height) || isWrong;
      i += 1;
    }
    return isWrong;
  }

  #forgetRows() {
    this.#rows.clear();
    this.#window.replaceChildren();
  }

  /** @param {Line} line */
  #row(line) {
    const name = this.#hasAttempts ? line.id : String(line.n);
    const number = make("a", { class: "log-n", href: this.#address(line), "data-id": line.id }, name);
    const row = make(
      "div",
      { class: "log-line", "data-level": line.level },
      number,
      make("time", { class: "log-at", datetime: line.at, title: format("moment", line.at, 0) }, format("log_time", line.at, 0)),
      make("span", { class: "log-level" }, line.level),
      this.#text(line),
    );
    row.classList.toggle("is-target", line.id === this.#marked);
    return row;
  }

  /** @param {Line} line */
  #text(line) {
    const isLong = line.text.length > CUT_CHARS;
    const box = make("span", { class: "log-text" });
    for (const [classes, text] of pieces(isLong ? line.text.slice(0, CUT_CHARS) : line.text)) {
      const parts = this.#marks(text);
      if (classes) box.append(make("span", { class: classes }, ...parts));
      else box.append(...parts);
    }
    if (isLong) {
      const link = { class: "log-more", href: this.#whole(line), target: "_blank", rel: "noopener" };
      box.append("… ", make("a", link, t("log.whole", { n: line.text.length })));
    }
    return box;
  }

  /**
   * Text with what is looked for marked.
   * @param {string} text
   * @returns {(Node | string)[]}
   */
  #marks(text) {
    if (!this.#query) return [text];
    const found = [];
    const lower = text.toLowerCase();
    let at = 0;
    // Letters whose lower case is longer would shift every place.
    for (let to = lower.length === text.length ? lower.indexOf(this.#query) : -1; to >= 0; to = lower.indexOf(this.#query, at)) {
      found.push(text.slice(at, to), make("mark", {}, text.slice(to, to + this.#query.length)));
      at = to + this.#query.length;
    }
    found.push(text.slice(at));
    return found;
  }

  #seeAll() {
    this.unseen = 0;
    this.#seen = this.lines.at(-1)?.id ?? "";
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

/**
 * The ids of lines that hold `query`, whatever the case.
 * @param {Line[]} lines
 * @param {string} query
 */
export function matching(lines, query) {
  const wanted = query.toLowerCase();
  return wanted ? lines.filter(({ text }) => plain(text).toLowerCase().includes(wanted)).map(({ id }) => id) : [];
}
