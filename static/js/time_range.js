// @ts-check
// Which stretch of time the charts of a page show: chosen in the top bar, or by a zoom. It is in the address, so that
// a link leads to the same; the last choice that moves with the clock is remembered.

import { ApiError, get } from "./api.js";
import { byId } from "./dom.js";
import { live } from "./live.js";
import { remember } from "./preferences.js";
import { format } from "./row_format.js";

/** @import { Series } from "./types.d.ts" */

/** What the live document of a page covers: it needs no requests. */
const LIVE = "1h";
/** How often a range that moves is asked for again: as often as its points change, more or less. @type {Record<string, number>} */
const EVERY_MS = { "15m": 5_000, "6h": 15_000, "24h": 30_000, "7d": 60_000 };
const SHORTEST_MS = 300_000;

/** @param {number} ms */
const stamp = (ms) => `${new Date(ms).toISOString().slice(0, 16)}Z`;

class TimeRange extends EventTarget {
  #menu = byId("range-menu");
  /** The query string that means it. */
  query = this.#menu.dataset.query ?? "";

  constructor() {
    super();
    this.#menu.addEventListener("click", (event) => this.#choose(event));
    addEventListener("popstate", () => this.#apply(new URLSearchParams(location.search)));
  }

  /** Its name if it moves with the clock, else "". */
  get name() {
    return new URLSearchParams(this.query).get("range") ?? "";
  }

  /** Whether the page's live document has it. */
  get isLive() {
    return this.name === LIVE;
  }

  /**
   * Show a stretch that stays.
   * @param {number} from in ms since 1970
   * @param {number} to
   */
  zoom(from, to) {
    const end = Math.min(Math.max(to, from + SHORTEST_MS), Date.now());
    this.#go(new URLSearchParams({ from: stamp(Math.min(from, end - SHORTEST_MS)), to: stamp(end) }));
  }

  /** Back to where the last zoom was made. */
  back() {
    if (history.state?.zoomed) history.back();
    else this.#go(new URLSearchParams({ range: LIVE }));
  }

  /** Say in the top bar, and of the page, what is shown. @param {Pick<Series, "range" | "start" | "end">} shown */
  tell(shown) {
    for (const place of document.querySelectorAll("[data-range-label]")) {
      place.textContent = format(place.getAttribute("data-range-label") ?? "", shown, 0);
    }
    byId("zoom-back").hidden = shown.range !== "";
  }

  /** @param {Event} event */
  #choose(event) {
    const link = event.target instanceof Element && event.target.closest("a[data-range]");
    if (!(link instanceof HTMLElement) || /** @type {MouseEvent} */ (event).ctrlKey || /** @type {MouseEvent} */ (event).metaKey) return;
    event.preventDefault();
    /** @type {HTMLDetailsElement} */ (this.#menu).open = false;
    this.#menu.querySelector("summary")?.focus();
    remember("range", link.dataset.range ?? "");
    this.#go(new URLSearchParams({ range: link.dataset.range ?? "" }));
  }

  /** @param {URLSearchParams} wanted */
  #go(wanted) {
    if (wanted.toString() === this.query) return;
    history.pushState({ zoomed: true }, "", `?${wanted}`);
    this.#apply(wanted);
  }

  /** @param {URLSearchParams} wanted */
  #apply(wanted) {
    const named = wanted.get("range");
    const [from, to] = [wanted.get("from"), wanted.get("to")];
    if (from) this.query = new URLSearchParams(to ? { from, to } : { from }).toString();
    else this.query = new URLSearchParams({ range: named ?? this.#menu.dataset.remembered ?? LIVE }).toString();
    for (const link of this.#menu.querySelectorAll("a[data-range]")) {
      link.toggleAttribute("aria-current", link.getAttribute("data-range") === this.name);
    }
    this.dispatchEvent(new Event("change"));
  }
}

export const timeRange = new TimeRange();

/**
 * Asks for the figures of the range, again and again while it moves, somebody looks, and nothing is paused. A range that
 * the page's live document has is left to that.
 */
export class SeriesFeed {
  #subject;
  #shown;
  #waits;
  #failed;
  #askedAt = 0;
  #turn = 0;

  /**
   * @param {Record<string, string>} subject queue or type; {} for everything
   * @param {(series: Series) => void} shown
   * @param {() => void} waits another range was chosen
   * @param {(message: string, again: () => void) => void} failed
   */
  constructor(subject, shown, waits, failed) {
    this.#subject = subject;
    this.#shown = shown;
    this.#waits = waits;
    this.#failed = failed;
    this.#askedAt = performance.now();
    timeRange.addEventListener("change", () => this.#changed());
    setInterval(() => this.#tick(), 1_000);
  }

  #changed() {
    this.#turn += 1;
    this.#waits();
    void this.#ask();
  }

  #tick() {
    const every = EVERY_MS[timeRange.name];
    if (!every || timeRange.isLive || live.isPaused || document.hidden || performance.now() - this.#askedAt < every) return;
    void this.#ask();
  }

  async #ask() {
    const turn = this.#turn;
    this.#askedAt = performance.now();
    const query = new URLSearchParams(timeRange.query);
    for (const [name, value] of Object.entries(this.#subject)) query.set(name, value);
    try {
      const series = await get(`series?${query}`);
      if (turn === this.#turn) this.#shown(series);
    } catch (problem) {
      const message = problem instanceof ApiError ? problem.message : String(problem);
      if (turn === this.#turn) this.#failed(message, () => this.#changed());
    }
  }
}
