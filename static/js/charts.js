// @ts-check
// Time charts: lines or stacked bars by uPlot, a legend with the values under the pointer (of the same time in all
// charts), and the same figures as a table. Dragging, or keys, zoom where the page says what that means.
//
// A page makes a Chart of each figure of parts/chart.html and calls show(points) with the points of its document; each
// has the time at which it begins (`minute`). A page that fetches also calls wait() and fail().

import vendored from "../vendor/uplot-1.6.32/uPlot.min.js";
import { apart, betweenMarks, marksWithin, perStep, STEPS, stepName, timeMarks } from "./chart_axis.js";
import { make, makeSvg } from "./dom.js";
import { paced } from "./pace.js";
import { t } from "./strings.js";
import { zoneLabel, zoneName } from "./zone.js";

/**
 * @typedef {object} Series
 * @property {string} name
 * @property {string} colour name of a custom property
 * @property {number[]} [dash]
 * @property {(number | null)[]} values one per point
 *
 * @typedef {object} Spec
 * @property {"lines" | "bars"} kind bars are stacked in the order of the series, from the ground
 * @property {(value: number) => string} unit how a value is written
 * @property {(value: number) => string} [mark] how it is written at the axis, if otherwise
 * @property {boolean} [isLogarithmic]
 * @property {string} [empty] what to say when there is nothing to draw
 * @property {(points: any[]) => Series[]} series
 * @property {(from: number, to: number) => void} [zoom] show this stretch of time, in ms since 1970; in ms
 * @property {() => void} [back] undo the last zoom
 */

/** The vendored file carries no types. @type {any} */
const uPlot = vendored;
const HEIGHT_PX = 176;
/** A drag shorter than this is a click. */
const LEAST_DRAG_PX = 6;
const LABEL_PX = 13;
const sync = uPlot.sync("time");
const forced = matchMedia("(forced-colors: active)");
/** Where the system chooses the colours, series differ by dashes, and bars by these. @type {Record<string, string>} */
const FORCED = { "--grid": "GrayText", "--fill-failed": "Highlight", "--fill-other": "GrayText" };

/** What was found, until the theme changes: to ask costs the browser a layout. @type {Map<string, string>} */
const colours = new Map();

/** A colour as the canvas needs it. @param {string} property */
function colour(property) {
  if (forced.matches) return FORCED[property] ?? "CanvasText";
  const known = colours.get(property);
  if (known) return known;
  const probe = make("span");
  probe.style.color = `var(${property})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  colours.set(property, value);
  return value;
}

/** @param {Series[]} series Sums from the ground up, so that bars drawn one over the other look stacked. */
function stacked(series) {
  /** @type {number[]} */
  let ground = [];
  return series.map(({ values }) => (ground = values.map((value, i) => (ground[i] ?? 0) + (value ?? 0))));
}

export class Chart {
  #figure;
  #spec;
  #plotBox;
  #legend;
  /** @type {any} */
  #plot = null;
  #shape = "";
  /** When each point begins, in seconds since 1970. @type {number[]} */
  #starts = [];
  #step = 60;
  /** @type {Series[]} */
  #series = [];
  #isTable = false;
  /** @type {any[] | null} */
  #wanted = null;
  /** @type {(() => void) | null} */
  #again = null;

  /**
   * @param {HTMLElement} figure made by parts/chart.html
   * @param {Spec} spec
   */
  constructor(figure, spec) {
    this.#figure = figure;
    this.#spec = spec;
    this.#plotBox = this.#part(".chart-plot");
    this.#legend = this.#part(".chart-legend");
    this.#part(".chart-toggle").addEventListener("click", () => this.#toggle());
    this.#part(".chart-empty button").addEventListener("click", () => this.#again?.());
    this.#plotBox.addEventListener("keydown", (event) => this.#key(event));
    this.#plotBox.addEventListener("blur", () => this.#plot?.setCursor({ left: -10, top: -10 }));
    new ResizeObserver(() => this.#resize()).observe(this.#plotBox);
    for (const query of [matchMedia("(prefers-color-scheme: dark)"), forced]) {
      query.addEventListener("change", () => this.#recolour());
    }
    addEventListener("taskdist-theme", () => this.#recolour());
  }

  /**
   * Show these points. They are of a minute or more: nobody sees more of them four times a second, and charts that are
   * drawn later are drawn each in a task of its own.
   * @param {any[]} points
   */
  show(points) {
    this.#wanted = points;
    this.#draw(points);
  }

  /** What was put off is no longer to be drawn once others are waited for. @type {(points: any[]) => void} */
  #draw = paced((points) => points === this.#wanted && this.#show(points), 1000);

  /** @param {any[]} points */
  #show(points) {
    this.#starts = points.map((point) => Date.parse(point.minute) / 1000);
    if (points.length > 1) this.#step = this.#starts[1] - this.#starts[0];
    this.#series = this.#spec.series(points);
    const isEmpty = !this.#series.some(({ values }) => values.some(Boolean));
    this.#say(isEmpty ? (this.#spec.empty ?? t("chart.no_data")) : "");
    this.#plotBox.toggleAttribute("data-empty", isEmpty);
    const note = this.#figure.querySelector(".chart-step");
    if (note) note.textContent = perStep(this.#step);
    if (this.#isTable) this.#showTable();
    const shape = [this.#step, ...this.#series.map(({ name }) => name)].join("\n");
    if (this.#plot && shape === this.#shape) {
      this.#plot.setData(this.#data());
    } else {
      this.#shape = shape;
      this.#remake();
    }
  }

  /** Other points are on their way. */
  wait() {
    this.#wanted = null;
    this.#figure.setAttribute("aria-busy", "true");
    if (!this.#starts.length) this.#say(t("chart.loading"), true);
  }

  /**
   * They did not come.
   * @param {string} message
   * @param {() => void} again
   */
  fail(message, again) {
    this.#wanted = null;
    this.#again = again;
    this.#say(message);
    this.#figure.dataset.state = "error";
  }

  /** @param {string} text what to say in place of the chart; "" if it can be shown @param {boolean} [isBusy] */
  #say(text, isBusy = false) {
    delete this.#figure.dataset.state;
    this.#figure.setAttribute("aria-busy", String(isBusy));
    this.#part(".chart-empty span").textContent = text;
    this.#part(".chart-empty").hidden = !text;
  }

  /** @param {string} selector */
  #part(selector) {
    return /** @type {HTMLElement} */ (this.#figure.querySelector(selector));
  }

  /** Points stand in the middle of their step. @returns {any} */
  #data() {
    const times = this.#starts.map((start) => start + this.#step / 2);
    const rows = this.#spec.kind === "bars" ? stacked(this.#series).reverse() : this.#series.map(({ values }) => values);
    return [times, ...rows];
  }

  #recolour() {
    colours.clear();
    this.#remake();
  }

  #remake() {
    this.#plot?.destroy();
    this.#plot = null;
    const width = this.#plotBox.clientWidth;
    if (!width || !this.#starts.length || this.#isTable) return;
    this.#plot = new uPlot(this.#options(width), this.#data(), this.#plotBox);
    this.#showLegend(null);
  }

  #resize() {
    const width = this.#plotBox.clientWidth;
    if (this.#plot && width && width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT_PX });
    else if (!this.#plot) this.#remake();
  }

  /** @param {number} width @returns {any} */
  #options(width) {
    const grid = { stroke: colour("--grid"), width: 1 };
    const axis = { stroke: colour("--muted"), font: "11px system-ui, sans-serif", grid, ticks: { show: false }, gap: 6 };
    const { kind, unit, mark = unit, isLogarithmic, zoom } = this.#spec;
    const y = isLogarithmic
      ? { splits: (/** @type {any} */ _u, /** @type {any} */ _a, /** @type {number} */ low, /** @type {number} */ high) => marksWithin(low, high), filter: (/** @type {any} */ _u, /** @type {any} */ s) => s }
      : { space: 36, incrs: STEPS };
    return {
      width,
      height: HEIGHT_PX,
      // Whole hours of the zone that times are shown in.
      tzDate: (/** @type {number} */ seconds) => uPlot.tzDate(new Date(seconds * 1000), zoneName),
      padding: [isLogarithmic ? 14 : 8, kind === "lines" ? this.#labelWidth() : 4, 0, 0],
      legend: { show: false },
      select: { show: Boolean(zoom) },
      cursor: { sync: { key: sync.key, setSeries: false }, drag: { x: Boolean(zoom), y: false, setScale: false }, y: false, points: { size: 7 } },
      scales: {
        x: { time: true, range: () => this.#ends() },
        y: isLogarithmic
          ? { distr: 3, range: (/** @type {any} */ _u, /** @type {any} */ low, /** @type {any} */ high) => betweenMarks(low, high) }
          : { range: (/** @type {any} */ _u, /** @type {any} */ _low, /** @type {any} */ high) => [0, Math.max(high * 1.1, 1)] },
      },
      axes: [
        { ...axis, size: 28, space: 64, grid: { show: false }, values: (/** @type {any} */ _u, /** @type {number[]} */ v) => timeMarks(v) },
        { ...axis, size: 62, ...y, values: (/** @type {any} */ _u, /** @type {number[]} */ v) => v.map((n) => (n === null ? "" : mark(n))) },
      ],
      series: [{}, ...(kind === "bars" ? this.#bars() : this.#lines())],
      hooks: {
        setCursor: [(/** @type {any} */ u) => this.#showLegend(u.cursor.idx ?? null)],
        setSelect: [(/** @type {any} */ u) => this.#dragged(u)],
        draw: kind === "lines" ? [(/** @type {any} */ u) => this.#drawNames(u)] : [],
      },
    };
  }

  /** From where to where the chart goes, in seconds since 1970. @returns {[number, number]} */
  #ends() {
    return [this.#starts[0], this.#starts[this.#starts.length - 1] + this.#step];
  }

  #bars() {
    const paths = uPlot.paths.bars?.({ size: [0.76, 28], radius: 0.1 });
    return this.#series.toReversed().map((one) => {
      const fill = colour(one.colour);
      return { label: one.name, fill, stroke: fill, width: 0, paths, points: { show: false } };
    });
  }

  #lines() {
    return this.#series.map((one) => {
      const stroke = colour(one.colour);
      const isSparse = one.values.filter((value) => value !== null).length < 20;
      return {
        label: one.name,
        stroke,
        width: 1.75,
        dash: one.dash,
        spanGaps: false,
        points: { show: isSparse, size: 5, fill: stroke, stroke },
      };
    });
  }

  // --- Names at the ends of the lines ------------------------------------------------------------

  #labelWidth() {
    return 12 + 7 * Math.max(...this.#series.map(({ name }) => shortened(name).length), 0);
  }

  /** @param {any} u */
  #drawNames(u) {
    const ratio = devicePixelRatio;
    const ends = this.#series.map(({ values }) => values.findLastIndex((value) => value !== null && value !== undefined));
    // A line at the bottom that says "none" all the time needs no name.
    const heights = this.#series.map(({ values }, i) => (values.some(Boolean) ? u.valToPos(values[ends[i]], "y") : null));
    const places = apart(heights, LABEL_PX, 4, u.over.clientHeight - 2);
    u.ctx.save();
    u.ctx.font = `600 ${11 * ratio}px system-ui, sans-serif`;
    u.ctx.textBaseline = "middle";
    u.ctx.textAlign = "left";
    for (const [i, { name, colour: ink }] of this.#series.entries()) {
      if (places[i] === null) continue;
      u.ctx.fillStyle = colour(ink);
      const x = u.valToPos(this.#starts[ends[i]] + this.#step / 2, "x") + 6;
      u.ctx.fillText(shortened(name), u.bbox.left + x * ratio, u.bbox.top + /** @type {number} */ (places[i]) * ratio);
    }
    u.ctx.restore();
  }

  // --- Zoom: by dragging, by keys ------------------------------------------------------------------

  /** @param {any} u */
  #dragged(u) {
    const { left, width } = u.select;
    if (!width) return;
    const ends = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    // The other charts follow the drag, and would all zoom at its end.
    if (width >= LEAST_DRAG_PX && u.cursor.event) this.#zoomTo(ends[0], ends[1]);
  }

  /** @param {number} from @param {number} to in seconds since 1970 */
  #zoomTo(from, to) {
    this.#spec.zoom?.(Math.round(from) * 1000, Math.round(to) * 1000);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (!this.#plot || event.ctrlKey || event.metaKey || event.altKey || event.target !== this.#plotBox) return;
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move && !event.shiftKey) this.#moveCursor(move);
    else if (!this.#spec.zoom || !this.#zoomByKey(event.key, move)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number} by */
  #moveCursor(by) {
    const last = this.#starts.length - 1;
    const now = this.#plot.cursor.idx ?? (by > 0 ? -1 : last + 1);
    const next = Math.min(Math.max(now + by, 0), last);
    const left = this.#plot.valToPos(this.#starts[next] + this.#step / 2, "x");
    this.#plot.setCursor({ left, top: this.#plot.over.clientHeight / 2 });
    const values = this.#series.map(({ name, values: all }) => `${name}: ${this.#written(all[next])}`);
    this.#part(".chart-said").textContent = [this.#nameOf(next), ...values].join(", ");
  }

  /** @param {string} key @param {number | undefined} move @returns {boolean} whether the key means something */
  #zoomByKey(key, move) {
    const [from, to] = this.#ends();
    const length = to - from;
    const at = this.#starts[this.#plot.cursor.idx] ?? (from + to) / 2;
    if (move) this.#zoomTo(from + (move * length) / 4, to + (move * length) / 4);
    else if (key === "+" || key === "=") this.#zoomTo(Math.max(from, at - length / 4), Math.min(to, at + length / 4));
    else if (key === "-") this.#zoomTo(from - length / 2, to + length / 2);
    else if (key === "Escape" && this.#spec.back) this.#spec.back();
    else return false;
    return true;
  }

  // --- In words -------------------------------------------------------------------------------------

  /** @param {number} index */
  #nameOf(index) {
    const [from, to] = this.#ends();
    return stepName(this.#starts[index], this.#step, to - from);
  }

  /** @param {number | null | undefined} value */
  #written(value) {
    return value === null || value === undefined ? "–" : this.#spec.unit(value);
  }

  /** @param {number | null} index the point under the pointer */
  #showLegend(index) {
    const items = this.#series.map((one) => {
      const line = makeSvg("line", { x1: 0, y1: 4, x2: 20, y2: 4, "stroke-width": this.#spec.kind === "bars" ? 8 : 2.5 });
      if (one.dash) line.setAttribute("stroke-dasharray", one.dash.map((n) => n * 0.8).join(" "));
      line.style.stroke = `var(${one.colour})`;
      const item = make("li", {}, makeSvg("svg", { viewBox: "0 0 20 8", "aria-hidden": "true" }, line), make("span", { class: "clip", title: one.name }, one.name));
      const value = index === null ? null : one.values[index];
      if (value !== null && value !== undefined) item.append(make("b", {}, this.#spec.unit(value)));
      return item;
    });
    if (index !== null && this.#starts[index]) items.push(make("li", {}, make("b", {}, this.#nameOf(index))));
    this.#legend.replaceChildren(...items);
  }

  #toggle() {
    this.#isTable = !this.#isTable;
    const button = this.#part(".chart-toggle");
    button.setAttribute("aria-pressed", String(this.#isTable));
    button.title = t(this.#isTable ? "chart.chart" : "chart.table");
    this.#plotBox.hidden = this.#isTable;
    this.#part(".chart-table").hidden = !this.#isTable;
    if (this.#isTable) this.#showTable();
    else this.#remake();
  }

  #showTable() {
    const [from] = this.#ends();
    const title = this.#part("h2").textContent ?? "";
    const caption = make("caption", { class: "meta" }, t("chart.caption", { title, per: perStep(this.#step) }));
    const head = make("tr", {}, make("th", { scope: "col" }, t("chart.time", { zone: zoneLabel(from * 1000) })));
    for (const { name } of this.#series) head.append(make("th", { class: "num", scope: "col" }, name));
    const rows = this.#starts.map((_, i) => {
      const row = make("tr", {}, make("th", { scope: "row" }, this.#nameOf(i)));
      for (const { values } of this.#series) row.append(make("td", { class: "num" }, this.#written(values[i])));
      return row;
    });
    this.#part("table").replaceChildren(caption, make("thead", {}, head), make("tbody", {}, ...rows.reverse()));
  }
}

/** @param {string} name */
const shortened = (name) => (name.length > 12 ? `${name.slice(0, 11)}…` : name);
