// @ts-check
// The log of a task as it is written. It follows the newest line only while the reader is at the bottom. Lines lie in
// blocks that the browser leaves out of layout while they are off the screen.

import { make } from "./dom.js";
import { format } from "./row_format.js";
import { t } from "./strings.js";

const BLOCK_LINES = 100;
const MAX_LINES = 20_000;
const NEAR_PX = 24;
const LEVELS = ["debug", "info", "warning", "error"];

export class LogView {
  #box;
  #follow;
  #level = "debug";
  #isFollowing = true;
  #attempts = 0;
  #unseen = 0;
  /** @type {Set<string>} */
  #known = new Set();
  /** A block gets its real height only when it comes onto the screen, and the end moves by that. */
  #heights = new ResizeObserver(() => this.#isFollowing && this.#toEnd());

  /**
   * @param {HTMLElement} box
   * @param {HTMLElement} follow the button that goes to the newest line
   * @param {HTMLSelectElement} level
   */
  constructor(box, follow, level) {
    this.#box = box;
    this.#follow = follow;
    box.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    follow.addEventListener("click", () => this.follow());
    level.addEventListener("change", () => this.#filter(level.value));
  }

  /** How many lines there are. */
  get size() {
    return this.#known.size;
  }

  /**
   * Add the lines that are not there yet.
   * @param {any[]} lines in order
   */
  show(lines) {
    const fresh = lines.filter((line) => !this.#known.has(line.id));
    if (!this.#known.size) this.#box.replaceChildren();
    if (!fresh.length) {
      if (!this.#known.size) this.#box.replaceChildren(make("p", { class: "empty" }, t("log.none")));
      return;
    }
    for (const line of fresh) this.#append(line);
    while (this.#known.size > MAX_LINES && this.#box.firstElementChild) this.#dropBlock(this.#box.firstElementChild);
    if (this.#isFollowing) this.#toEnd();
    else this.#unseen += fresh.length;
    this.#sayFollow();
  }

  /** Go to the newest line and stay with it. */
  follow() {
    this.#isFollowing = true;
    this.#unseen = 0;
    this.#toEnd();
    this.#sayFollow();
  }

  /** @param {any} line */
  #append(line) {
    this.#known.add(line.id);
    let block = this.#box.lastElementChild;
    if (!block || block.children.length >= BLOCK_LINES) {
      block = make("div", { class: "log-block" });
      this.#box.append(block);
      this.#heights.observe(block);
    }
    this.#attempts = Math.max(this.#attempts, line.attempt);
    const anchor = `L${line.attempt}.${line.n}`;
    const number = make("a", { class: "log-n", href: `#${anchor}` }, this.#attempts > 1 ? line.id : String(line.n));
    const row = make(
      "div",
      { class: "log-line", id: anchor, "data-level": line.level, "data-id": line.id },
      number,
      make("time", { class: "log-at", datetime: line.at, title: format("moment", line.at, 0) }, format("log_time", line.at, 0)),
      make("span", { class: "log-level" }, line.level),
      make("span", { class: "log-text" }, line.text),
    );
    row.hidden = this.#isBelow(line.level);
    block.append(row);
  }

  /** @param {Element} block */
  #dropBlock(block) {
    for (const row of block.children) this.#known.delete(row.getAttribute("data-id") ?? "");
    this.#heights.unobserve(block);
    block.remove();
  }

  /** @param {string} level */
  #isBelow(level) {
    return LEVELS.indexOf(level) < LEVELS.indexOf(this.#level);
  }

  /** @param {string} level */
  #filter(level) {
    this.#level = level;
    for (const row of this.#box.querySelectorAll(".log-line")) {
      /** @type {HTMLElement} */ (row).hidden = this.#isBelow(row.getAttribute("data-level") ?? "");
    }
    if (this.#isFollowing) this.#toEnd();
  }

  #toEnd() {
    this.#box.scrollTop = this.#box.scrollHeight;
  }

  #scrolled() {
    const { scrollTop, clientHeight, scrollHeight } = this.#box;
    const isAtEnd = scrollTop + clientHeight >= scrollHeight - NEAR_PX;
    if (isAtEnd) this.#unseen = 0;
    if (isAtEnd === this.#isFollowing) return;
    this.#isFollowing = isAtEnd;
    this.#sayFollow();
  }

  #sayFollow() {
    this.#follow.setAttribute("aria-pressed", String(this.#isFollowing));
    const words = this.#follow.querySelector("span");
    if (words) words.textContent = this.#unseen ? t("log.new", { n: this.#unseen }) : t("log.follow");
  }
}
