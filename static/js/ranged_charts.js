// @ts-check
// The charts of a page, all of the stretch of time that the top bar says.

import { Chart } from "./charts.js";
import { byId } from "./dom.js";
import { SeriesFeed, timeRange } from "./time_range.js";

/** @import { Series } from "./types.d.ts" */
/** @import { Spec } from "./charts.js" */

/**
 * Make them of the first points, which the page brings along, and keep them up to date.
 * @param {Record<string, string>} subject queue, type or node; {} for everything
 * @param {Record<string, Spec>} specs by the ends of their ids
 * @param {(series: Series) => void} [shown] other figures of the range have come
 * @returns {(points: {minute: string}[]) => void} shows the last hour, where that is what is wanted
 */
export function rangedCharts(subject, specs, shown) {
  const zooming = {
    zoom: (/** @type {number} */ from, /** @type {number} */ to) => timeRange.zoom(from, to),
    back: () => timeRange.back(),
  };
  const charts = Object.entries(specs).map(([id, spec]) => new Chart(byId(`chart-${id}`), { ...spec, ...zooming }));
  /** @type {unknown} */
  let drawn;
  const draw = (/** @type {{minute: string}[]} */ points) => {
    if (points !== drawn) for (const chart of charts) chart.show(points);
    drawn = points;
  };
  draw(JSON.parse(byId("series-data").textContent || "{}").points);
  byId("zoom-back").addEventListener("click", () => timeRange.back());
  new SeriesFeed(
    subject,
    (series) => {
      timeRange.tell(series);
      draw(series.points);
      shown?.(series);
    },
    () => charts.forEach((chart) => chart.wait()),
    (message, again) => charts.forEach((chart) => chart.fail(message, again)),
  );
  return (points) => timeRange.isLive && draw(points);
}
