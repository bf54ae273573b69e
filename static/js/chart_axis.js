// @ts-check
// What stands at the axes of a chart, and where names stand at the ends of lines. Pure.

import { t } from "./strings.js";
import { local, zoneLabel } from "./zone.js";

const DAY = 86_400;
/** Steps of the axis of numbers of tasks: whole ones. */
export const STEPS = Array.from({ length: 9 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat();
/** Marks of the axis of durations, in ms: decades as far as the second, then what people count in. */
const MARKS = [0.1, 1, 10, 100, 1_000, 10_000, 60_000, 600_000, 3_600_000, 36_000_000, 360_000_000];

/**
 * The marks that hold all values between them, with one more in the middle at least.
 * @param {number | null} low
 * @param {number | null} high
 */
export function betweenMarks(low, high) {
  const from = Math.max(MARKS.findLastIndex((mark) => mark <= (low || 1)), 0);
  const to = MARKS.findIndex((mark) => mark >= (high || 100));
  return [MARKS[from], MARKS[Math.max(to < 0 ? MARKS.length - 1 : to, Math.min(from + 2, MARKS.length - 1))]];
}

/** The marks to draw. @param {number} low @param {number} high */
export const marksWithin = (low, high) => MARKS.filter((mark) => mark >= low && mark <= high);

/**
 * Marks of the axis of time, in seconds since 1970: the time of day, and the day where one begins.
 * @param {number[]} marks
 */
export const timeMarks = (marks) =>
  marks.map((seconds) => {
    const { date, time } = local(seconds * 1000);
    return time.startsWith("00:00") ? date.slice(5) : time.slice(0, 5);
  });

/**
 * The step that begins at a time: 13:05, with its end if it is longer than a minute, with its day if the chart shows
 * more than one. Where clocks are turned back or forward, with the zone.
 * @param {number} start in seconds since 1970
 * @param {number} step in seconds
 * @param {number} length of the whole chart, in seconds
 */
export function stepName(start, step, length) {
  const [from, to] = [local(start * 1000), local((start + step) * 1000)];
  const day = length >= DAY ? `${from.date.slice(5)} ` : "";
  if (step >= DAY) return from.date;
  const end = step > 60 ? `–${to.time.slice(0, 5)}` : "";
  const turned = local((start - DAY) * 1000).offsetMinutes !== local((start + DAY) * 1000).offsetMinutes;
  return `${day}${from.time.slice(0, 5)}${end}${turned ? ` ${zoneLabel(start * 1000)}` : ""}`;
}

/** A length of time in whole words: "per 5 minutes". @param {number} seconds */
export function perStep(seconds) {
  if (seconds % DAY === 0) return t("chart.per_day", { n: seconds / DAY });
  return seconds % 3600 === 0 ? t("chart.per_hour", { n: seconds / 3600 }) : t("chart.per_minute", { n: seconds / 60 });
}

/**
 * Places for names at the ends of lines, so that none lies over another: as near as can be to where they belong.
 * @param {(number | null)[]} wanted heights in px; null: no name
 * @param {number} gap between two of them
 * @param {number} low
 * @param {number} high
 */
export function apart(wanted, gap, low, high) {
  const order = wanted.map((y, i) => ({ y: y ?? 0, i })).filter(({ i }) => wanted[i] !== null).sort((a, b) => a.y - b.y);
  /** @type {(number | null)[]} */
  const found = wanted.map(() => null);
  let least = low;
  for (const [place, { y, i }] of order.entries()) {
    // Room has to be left for those below.
    const most = high - (order.length - 1 - place) * gap;
    found[i] = Math.max(least, Math.min(y, most));
    least = /** @type {number} */ (found[i]) + gap;
  }
  return found;
}
