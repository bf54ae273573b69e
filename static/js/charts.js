// @ts-check
// Time charts of the last hour: lines or stacked bars by uPlot, a legend that shows the values under the pointer (of
// the same minute in all charts), and the same figures as a table.

import vendored from "../vendor/uplot-1.6.32/uPlot.min.js";
import { serverNow } from "./clock.js";
import { make, makeSvg } from "./dom.js";
import { format } from "./row_format.js";
import { t } from "./strings.js";
import { zoneLabel, zoneName } from "./zone.js";

/**
 * @typedef {object} Series
 * @property {string} name
 * @property {string} colour name of a custom property
 * @property {number[]} [dash]
 * @property {(number | null)[]} values one per minute
 *
 * @typedef {object} Spec
 * @property {"lines" | "bars"} kind bars are stacked in the order of the series, from the ground
 * @property {(value: number) => string} unit how a value is written
 * @property {(value: number) => string} [mark] how it is written at the axis, if otherwise
 * @property {boolean} [isLogarithmic]
 * @property {string} [empty] what to say when there is nothing to draw
 * @property {(points: any[]) => Series[]} series
 */

/** The vendored file carries no types. @type {any} */
const uPlot = vendored;
const HEIGHT_PX = 176;
/** Steps of the axis of numbers of tasks: whole ones. */
const STEPS = Array.from({ length: 9 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat();
/** Marks of the axis of durations, in ms: decades as far as the second, then what people count in. */
const MARKS = [0.1, 1, 10, 100, 1_000, 10_000, 60_000, 600_000, 3_600_000, 36_000_000, 360_000_000];
const sync = uPlot.sync("minutes");

/** A colour as the canvas needs it. @param {string} property */
function colour(property) {
  const probe = make("span");
  probe.style.color = `var(${property})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** @param {number} seconds */
const clock = (seconds) => format("log_time", seconds * 1000, 0).slice(0, 5);

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
  /** @type {any[]} */
  #points = [];
  /** @type {Series[]} */
  #series = [];
  #isTable = false;

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
    new ResizeObserver(() => this.#resize()).observe(this.#plotBox);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#remake());
    addEventListener("taskdist-theme", () => this.#remake());
  }

  /**
   * Show the minutes `points`.
   * @param {any[]} points
   */
  show(points) {
    this.#points = points;
    this.#series = this.#spec.series(points);
    const isEmpty = !this.#series.some(({ values }) => values.some(Boolean));
    const empty = this.#part(".chart-empty");
    empty.textContent = this.#spec.empty ?? t("chart.no_data");
    empty.hidden = !isEmpty;
    this.#plotBox.toggleAttribute("data-empty", isEmpty);
    if (this.#isTable) this.#showTable();
    const shape = this.#series.map(({ name }) => name).join("\n");
    if (this.#plot && shape === this.#shape) {
      this.#plot.setData(this.#data());
    } else {
      this.#shape = shape;
      this.#remake();
    }
  }

  /** @param {string} selector */
  #part(selector) {
    return /** @type {HTMLElement} */ (this.#figure.querySelector(selector));
  }

  /** @returns {any} */
  #data() {
    const times = this.#points.map((point) => Date.parse(point.minute) / 1000);
    const rows = this.#spec.kind === "bars" ? stacked(this.#series).reverse() : this.#series.map(({ values }) => values);
    return [times, ...rows];
  }

  #remake() {
    this.#plot?.destroy();
    this.#plot = null;
    const width = this.#plotBox.clientWidth;
    if (!width || !this.#points.length || this.#isTable) return;
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
    const muted = colour("--muted");
    const grid = { stroke: colour("--grid"), width: 1 };
    const axis = { stroke: muted, font: "11px system-ui, sans-serif", grid, ticks: { show: false }, gap: 6 };
    const { kind, unit, mark = unit, isLogarithmic } = this.#spec;
    const y = isLogarithmic
      ? { ...axis, size: 62, splits: marksWithin, filter: (/** @type {any} */ _u, /** @type {any} */ s) => s }
      : { ...axis, size: 62, space: 36, incrs: STEPS };
    return {
      width,
      height: HEIGHT_PX,
      // Whole hours of the zone that times are shown in.
      tzDate: (/** @type {number} */ seconds) => uPlot.tzDate(new Date(seconds * 1000), zoneName),
      padding: [isLogarithmic ? 14 : 8, 4, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: sync.key, setSeries: false }, drag: { x: false, y: false }, y: false, points: { size: 7 } },
      scales: {
        x: { time: true, range: (/** @type {any} */ _u, /** @type {number} */ low, /** @type {number} */ high) => [low - 30, high + 30] },
        y: isLogarithmic
          ? { distr: 3, range: (/** @type {any} */ _u, /** @type {any} */ low, /** @type {any} */ high) => betweenMarks(low, high) }
          : { range: (/** @type {any} */ _u, /** @type {any} */ _low, /** @type {any} */ high) => [0, Math.max(high * 1.1, 1)] },
      },
      axes: [
        { ...axis, size: 28, space: 72, grid: { show: false }, values: (/** @type {any} */ _u, /** @type {number[]} */ v) => v.map(clock) },
        { ...y, values: (/** @type {any} */ _u, /** @type {number[]} */ v) => v.map((n) => (n === null ? "" : mark(n))) },
      ],
      series: [{}, ...(kind === "bars" ? this.#bars() : this.#lines())],
      hooks: { setCursor: [(/** @type {any} */ u) => this.#showLegend(u.cursor.idx ?? null)] },
    };
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

  /** @param {number | null} index the minute under the pointer */
  #showLegend(index) {
    const items = this.#series.map((one) => {
      const line = makeSvg("line", { x1: 0, y1: 4, x2: 20, y2: 4, "stroke-width": this.#spec.kind === "bars" ? 8 : 2.5 });
      if (one.dash) line.setAttribute("stroke-dasharray", one.dash.map((n) => n * 0.8).join(" "));
      line.style.stroke = `var(${one.colour})`;
      const value = index === null ? null : one.values[index];
      const item = make("li", {}, makeSvg("svg", { viewBox: "0 0 20 8", "aria-hidden": "true" }, line), make("span", { class: "clip", title: one.name }, one.name));
      if (value !== null && value !== undefined) item.append(make("b", {}, this.#spec.unit(value)));
      return item;
    });
    if (index !== null && this.#points[index]) {
      items.push(make("li", {}, make("b", {}, clock(Date.parse(this.#points[index].minute) / 1000))));
    }
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
    const head = make("tr", {}, make("th", {}, t("chart.time", { zone: zoneLabel(serverNow()) })));
    for (const { name } of this.#series) head.append(make("th", { class: "num" }, name));
    const rows = this.#points.map((point, i) => {
      const row = make("tr", {}, make("td", {}, clock(Date.parse(point.minute) / 1000)));
      for (const { values } of this.#series) {
        const value = values[i];
        row.append(make("td", { class: "num" }, value === null || value === undefined ? "–" : this.#spec.unit(value)));
      }
      return row;
    });
    this.#part("table").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows.reverse()));
  }
}

/**
 * The marks that hold all values between them, with one more in the middle at least.
 * @param {number | null} low
 * @param {number | null} high
 */
function betweenMarks(low, high) {
  const from = Math.max(MARKS.findLastIndex((mark) => mark <= (low || 1)), 0);
  const to = MARKS.findIndex((mark) => mark >= (high || 100));
  return [MARKS[from], MARKS[Math.max(to < 0 ? MARKS.length - 1 : to, Math.min(from + 2, MARKS.length - 1))]];
}

/**
 * The marks to draw.
 * @param {any} _plot
 * @param {number} _axis
 * @param {number} low
 * @param {number} high
 */
const marksWithin = (_plot, _axis, low, high) => MARKS.filter((mark) => mark >= low && mark <= high);
