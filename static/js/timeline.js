// @ts-check
// Attempts as bars on a common axis of time: waiting, on its way to the node, running.

import { serverNow } from "./clock.js";
import { makeSvg } from "./dom.js";
import { format } from "./row_format.js";
import { t } from "./strings.js";

const LABEL_PX = 110;
const ROW_PX = 28;
const BAR_PX = 12;
const AXIS_PX = 22;
const RIGHT_PX = 100;

const GOOD = new Set(["succeeded"]);
const BAD = new Set(["failed", "timed_out", "crashed", "lost"]);

/**
 * The parts of an attempt: [class, from, to, words], times in ms.
 * @param {any} attempt
 * @param {number} now
 * @returns {[string, number, number, string][]}
 */
export function parts(attempt, now) {
  const at = (/** @type {string | null} */ time) => (time ? Date.parse(time) : null);
  const isOpen = attempt.outcome === "running" || attempt.outcome === "dispatched";
  const end = at(attempt.ended_at) ?? (isOpen ? now : null);
  const retry = at(attempt.retry_at);
  const marks = [
    ["wait", at(attempt.queued_at)],
    ["sent", at(attempt.dispatched_at)],
    ["run", at(attempt.started_at)],
    ["backoff", end],
    // What is still to come is not drawn: it may be a day.
    ["", retry !== null && end !== null && retry > end ? Math.min(retry, Math.max(now, end)) : null],
  ].filter(([, time]) => time !== null);
  /** @type {[string, number, number, string][]} */
  const found = [];
  for (let i = 0; i + 1 < marks.length; i += 1) {
    const [kind, from] = /** @type {[string, number]} */ (marks[i]);
    const to = /** @type {number} */ (marks[i + 1][1]);
    found.push([kind, from, Math.max(to, from), t(`timeline.${kind}`, { span: format("duration", to - from, 0) })]);
  }
  return found;
}

/** Whether the drawing changes with the time. @param {any[]} attempts */
export const isMoving = (attempts) =>
  attempts.some(({ outcome, retry_at: retry }) => outcome === "running" || outcome === "dispatched" || Date.parse(retry) > serverNow());

/** @param {any} attempt */
function tone({ outcome }) {
  if (GOOD.has(outcome)) return "good";
  if (BAD.has(outcome)) return "bad";
  return outcome === "running" || outcome === "dispatched" ? "" : "ended";
}

/**
 * Draw `attempts` into `box`.
 * @param {HTMLElement} box
 * @param {any[]} attempts
 */
export function drawTimeline(box, attempts) {
  const now = serverNow();
  const rows = attempts.map((attempt) => ({ attempt, parts: parts(attempt, now) })).filter((row) => row.parts.length);
  box.hidden = !rows.length;
  if (!rows.length) return;
  const from = Math.min(...rows.flatMap((row) => row.parts.map((part) => part[1])));
  const to = Math.max(...rows.flatMap((row) => row.parts.map((part) => part[2])), from + 1);
  const width = Math.max(box.clientWidth - 32, 320);
  const height = rows.length * ROW_PX + AXIS_PX;
  const x = (/** @type {number} */ time) => LABEL_PX + ((time - from) / (to - from)) * (width - LABEL_PX - RIGHT_PX);
  const svg = makeSvg("svg", { viewBox: `0 0 ${width} ${height}`, height });
  svg.append(...axis(x, from, to, height));
  rows.forEach((row, i) => svg.append(...drawRow(row, i * ROW_PX + ROW_PX / 2, x)));
  box.replaceChildren(svg);
}

/**
 * @param {{attempt: any, parts: [string, number, number, string][]}} row
 * @param {number} y
 * @param {(time: number) => number} x
 */
function drawRow({ attempt, parts: all }, y, x) {
  const label = makeSvg("text", { class: "tl-label", x: 0, y: y + 4 });
  const name = `${attempt.number} · ${attempt.node ?? "–"}`;
  label.textContent = name.length > 17 ? `${name.slice(0, 16)}…` : name;
  const bars = all.map(([kind, from, to, words]) => {
    const bar = makeSvg("rect", {
      class: kind === "run" ? `tl-run ${tone(attempt)}` : `tl-${kind}`,
      x: x(from),
      y: kind === "backoff" ? y - 1 : y - BAR_PX / 2,
      width: Math.max(x(to) - x(from), 2),
      height: kind === "backoff" ? 2 : BAR_PX,
      rx: 2,
    });
    const title = makeSvg("title");
    title.textContent = words;
    bar.append(title);
    return bar;
  });
  const last = all.filter(([kind]) => kind !== "backoff").at(-1) ?? all[0];
  const end = x(all[all.length - 1][2]) + 8;
  const sign = makeSvg("use", { class: `tl-sign ${tone(attempt)}`, href: format("icon", attempt.outcome, 0), x: end, y: y - 7, width: 14, height: 14 });
  const length = makeSvg("text", { x: end + 18, y: y + 4 });
  length.textContent = format("duration", last[2] - last[1], 0);
  return [label, ...bars, sign, length];
}

/**
 * @param {(time: number) => number} x
 * @param {number} from
 * @param {number} to
 * @param {number} height
 */
function axis(x, from, to, height) {
  return [0, 0.5, 1].flatMap((share) => {
    const time = from + (to - from) * share;
    const line = makeSvg("line", { class: "tl-track", x1: x(time), x2: x(time), y1: 0, y2: height - AXIS_PX + 4 });
    const words = makeSvg("text", { x: x(time), y: height - 4, "text-anchor": share === 0 ? "start" : "middle" });
    words.textContent = share === 0 ? "0" : `+${format("duration", time - from, 0)}`;
    return [line, words];
  });
}
