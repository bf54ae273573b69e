// @ts-check
// The log of a task: the lines that come live, those before them asked for page by page, and what the reader does with
// them: by attempt and level, find, go to the first error, to a line by its address, or stay with the newest.

import { ApiError, get } from "./api.js";
import { byId, make } from "./dom.js";
import { format } from "./row_format.js";
import { live } from "./live.js";
import { LogStore } from "./log_store.js";
import { LogView, matching } from "./log_view.js";
import { t } from "./strings.js";

const LEVELS = ["debug", "info", "warning", "error"];
const PAGE_LINES = 500;
const SHOW_MS = 250;
const FIND_PAUSE_MS = 150;
const WRAP = "taskdist-log-wrap";

/** @typedef {import("./log_store.js").Line} Line */

export class LogPanel {
  #id;
  #store = new LogStore();
  #isOpen = false;
  #isFilling = false;
  #hasFailed = false;
  #maxLines;
  /** A line that was asked for and is not here yet. @type {{attempt: number, n: number} | null} */
  #wanted = null;
  /** @type {string[]} */
  #found = [];
  #foundAt = -1;
  #findTimer = 0;
  #isUnmasked;

  #box = byId("log-lines");
  #level = /** @type {HTMLSelectElement} */ (byId("log-level"));
  #attempt = /** @type {HTMLSelectElement} */ (byId("log-attempt"));
  #query = /** @type {HTMLInputElement} */ (byId("log-find"));
  #view;

  /**
   * @param {string} id of the task
   * @param {{isUnmasked: boolean, maxLines: number}} options
   */
  constructor(id, { isUnmasked, maxLines }) {
    this.#id = id;
    this.#isUnmasked = isUnmasked;
    this.#maxLines = maxLines;
    this.#view = new LogView(this.#box, { address: (line) => this.#address(line), whole: (line) => this.#file(line) });
    this.#view.addEventListener("change", () => this.#sayFollow());
    this.#level.addEventListener("change", () => this.#show());
    this.#attempt.addEventListener("change", () => this.#chosen());
    this.#query.addEventListener("input", () => {
      clearTimeout(this.#findTimer);
      this.#findTimer = setTimeout(() => this.#find(), FIND_PAUSE_MS);
    });
    this.#query.addEventListener("keydown", (event) => this.#key(event));
    byId("log-next").addEventListener("click", () => this.#step(1));
    byId("log-previous").addEventListener("click", () => this.#step(-1));
    byId("log-error").addEventListener("click", () => this.#toError());
    byId("log-follow").addEventListener("click", () => this.#toggleFollow());
    byId("log-pill").addEventListener("click", () => this.#view.follow());
    byId("log-again").addEventListener("click", () => this.#retry());
    this.#box.addEventListener("click", (event) => this.#clicked(event));
    this.#wrapSetting();
    live.addEventListener("status", () => this.#fill());
  }

  /** How many lines the task has written, as far as is known. */
  get total() {
    return this.#store.total;
  }

  /**
   * Take in a live document.
   * @param {{logs: Line[], log_ends: {attempt: number, last: number}[]}} document
   */
  take({ logs, log_ends: ends }) {
    const before = this.#shown().length;
    const isNew = this.#store.take(logs, ends);
    this.#sayAttempts();
    if (isNew || this.#view.lines.length !== before || !before) this.#show();
    this.#fill();
  }

  /** The panel is in sight, or not: lines are asked for only while it is. @param {boolean} isOpen */
  open(isOpen) {
    this.#isOpen = isOpen;
    if (isOpen) {
      this.#show();
      this.#fill();
    }
  }

  /**
   * Go to a line by its address: "#L118" of the attempt given, or "#L2.118".
   * @param {string} hash
   * @param {number} attempt 0: of the newest attempt that wrote any
   * @returns {boolean} whether the hash names a line
   */
  goTo(hash, attempt) {
    const match = /^#L(?:(\d+)\.)?(\d+)$/.exec(hash);
    if (!match) return false;
    this.#wanted = { attempt: Number(match[1]) || attempt, n: Number(match[2]) };
    this.#reach();
    return true;
  }

  // --- Lines -----------------------------------------------------------------------------------------

  #shown() {
    const level = LEVELS.indexOf(this.#level.value);
    const lines = this.#store.lines(Number(this.#attempt.value));
    return level > 0 ? lines.filter((line) => LEVELS.indexOf(line.level) >= level) : lines;
  }

  #show() {
    const lines = this.#shown();
    const empty = t(this.#store.size ? "log.none_match" : this.#isFilling ? "log.loading" : "log.none");
    this.#view.show(lines, { empty, hasAttempts: this.#store.attempts.length > 1 && this.#attempt.value === "0" });
    if (this.#query.value) {
      const current = this.#found[this.#foundAt];
      this.#found = matching(lines, this.#query.value);
      this.#foundAt = this.#found.indexOf(current);
    }
    this.#sayFound();
    this.#reach();
    this.#sayNote();
  }

  /** Ask for what is missing, page by page, as long as somebody looks. */
  async #fill() {
    const mayAsk = () => this.#isOpen && !live.isPaused && !document.hidden && !this.#hasFailed;
    if (this.#isFilling || !mayAsk()) return;
    this.#isFilling = true;
    let shownAt = 0;
    try {
      for (let next = this.#next(); next && mayAsk(); next = this.#next()) {
        const { attempt, after } = next;
        const query = new URLSearchParams({ attempt: String(attempt), after: String(after), limit: String(PAGE_LINES) });
        if (this.#isUnmasked) query.set("unmasked", "true");
        const page = await get(`tasks/${this.#id}/logs?${query}`);
        this.#store.page(attempt, after, page.lines, page.next === null);
        // Lines before those in sight are no news; to draw each page would be all the tab does.
        if (performance.now() - shownAt > SHOW_MS) {
          this.#show();
          shownAt = performance.now();
        }
      }
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem;
      this.#hasFailed = true;
    } finally {
      this.#isFilling = false;
      if (shownAt) this.#show();
      else this.#sayNote();
    }
  }

  #next() {
    return this.#store.missing(this.#wanted?.attempt || Number(this.#attempt.value));
  }

  #retry() {
    this.#hasFailed = false;
    this.#fill();
  }

  #chosen() {
    const link = /** @type {HTMLAnchorElement} */ (byId("log-download"));
    const address = new URL(link.href);
    address.searchParams.delete("attempt");
    if (this.#attempt.value !== "0") address.searchParams.set("attempt", this.#attempt.value);
    link.href = address.href;
    this.#show();
    this.#fill();
  }

  #sayAttempts() {
    const has = new Set([...this.#attempt.options].map(({ value }) => value));
    for (const attempt of this.#store.attempts) {
      if (!has.has(String(attempt))) {
        this.#attempt.append(make("option", { value: String(attempt) }, t("log.attempt", { attempt })));
      }
    }
  }

  // --- Find, errors, addresses ---------------------------------------------------------------------

  #find() {
    this.#found = matching(this.#view.lines, this.#query.value);
    this.#foundAt = -1;
    this.#view.highlight(this.#query.value);
    if (this.#found.length) this.#step(1);
    else this.#sayFound();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Escape" && this.#query.value) {
      event.preventDefault();
      this.#query.value = "";
      this.#find();
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.#step(event.shiftKey ? -1 : 1);
    }
  }

  /** @param {number} by */
  #step(by) {
    if (!this.#found.length) return;
    if (this.#foundAt < 0) {
      // From where the reader is.
      const top = this.#view.lines[this.#view.top]?.id;
      const order = new Map(this.#view.lines.map(({ id }, i) => [id, i]));
      const from = this.#found.findIndex((id) => (order.get(id) ?? 0) >= (order.get(top ?? "") ?? 0));
      this.#foundAt = from < 0 ? 0 : from;
    } else {
      this.#foundAt = (this.#foundAt + by + this.#found.length) % this.#found.length;
    }
    this.#view.goTo(this.#found[this.#foundAt]);
    this.#sayFound();
  }

  #sayFound() {
    const count = this.#found.length;
    const hasQuery = this.#query.value !== "";
    const place = { at: this.#foundAt + 1, n: count };
    byId("log-found").textContent = !hasQuery ? "" : t(!count ? "log.found_none" : this.#foundAt < 0 ? "log.found" : "log.found_at", place);
    for (const name of ["log-next", "log-previous"]) /** @type {HTMLButtonElement} */ (byId(name)).disabled = !count;
    const hasError = this.#view.lines.some(({ level }) => level === "error");
    /** @type {HTMLButtonElement} */ (byId("log-error")).disabled = !hasError;
  }

  #toError() {
    const line = this.#view.lines.find(({ level }) => level === "error");
    if (line) this.#view.goTo(line.id);
  }

  #reach() {
    if (!this.#wanted || !this.#isOpen) return;
    const { n } = this.#wanted;
    const attempt = this.#wanted.attempt || this.#store.attempts.at(-1) || 0;
    this.#wanted.attempt = attempt;
    if (!this.#store.lines(attempt).some((line) => line.n === n)) return;
    this.#wanted = null;
    const id = `${attempt}.${n}`;
    if (!this.#view.lines.some((line) => line.id === id)) {
      this.#level.value = "debug";
      this.#attempt.value = "0";
      this.#show();
    }
    this.#view.goTo(id);
    byId("log-lines").scrollIntoView({ block: "nearest" });
    // Until now only the lines of that attempt were asked for.
    this.#fill();
  }

  /** @param {Line} line */
  #address(line) {
    return `?tab=logs&attempt=${line.attempt}#L${line.n}`;
  }

  /** @param {Line} line */
  #file(line) {
    const unmasked = this.#isUnmasked ? "&unmasked=true" : "";
    return `/tasks/${this.#id}/log.txt?attempt=${line.attempt}&line=${line.n}${unmasked}`;
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const link = event.target instanceof Element ? event.target.closest("a.log-n") : null;
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    history.replaceState(null, "", link.getAttribute("href") ?? "");
    this.#view.stay();
    this.#view.mark(link.getAttribute("data-id") ?? "");
  }

  // --- What is said about it -----------------------------------------------------------------------

  #toggleFollow() {
    if (this.#view.isFollowing) this.#view.stay();
    else this.#view.follow();
  }

  #sayFollow() {
    byId("log-follow").setAttribute("aria-pressed", String(this.#view.isFollowing));
    const pill = byId("log-pill");
    const { unseen } = this.#view;
    pill.hidden = !unseen;
    const words = pill.querySelector("span");
    if (words) words.textContent = t("log.new", { n: unseen });
  }

  #sayNote() {
    const next = this.#next();
    this.#box.setAttribute("aria-busy", String(next !== null && !this.#hasFailed));
    const isFull = this.#store.attempts.some((attempt) => (this.#store.lines(attempt).at(-1)?.n ?? 0) >= this.#maxLines);
    const note = byId("log-note");
    let text = "";
    if (this.#hasFailed) text = t("log.failed");
    else if (this.#isFilling && next) {
      text = t("log.filling", { n: format("count", this.#store.size, 0), total: format("count", this.total, 0) });
    } else if (this.#store.isCut) text = t("log.cut");
    else if (isFull) text = t("log.full", { n: format("count", this.#maxLines, 0) });
    const words = note.querySelector("span");
    if (words && words.textContent !== text) words.textContent = text;
    note.hidden = !text;
    byId("log-again").hidden = !this.#hasFailed;
  }

  #wrapSetting() {
    const button = byId("log-wrap");
    /** @param {boolean} wrap */
    const set = (wrap) => {
      button.setAttribute("aria-pressed", String(wrap));
      this.#view.wrap(wrap);
    };
    let kept = null;
    try {
      kept = localStorage.getItem(WRAP);
    } catch {
      // Storage is off: the setting lasts as long as the page.
    }
    set(kept !== "no");
    button.addEventListener("click", () => {
      const wrap = button.getAttribute("aria-pressed") !== "true";
      set(wrap);
      try {
        localStorage.setItem(WRAP, wrap ? "yes" : "no");
      } catch {
        // As above.
      }
    });
  }
}
