// @ts-check
// The time zone that times are shown in: the reader's choice, else the browser's. The server's half is
// dispatcher/dashboard/zones.py.

import { preference } from "./preferences.js";

/** @param {string} name */
function formatterOf(name) {
  return new Intl.DateTimeFormat("en-US", {
    timeZone: name || undefined,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
}

function chosen() {
  try {
    return formatterOf(preference("zone"));
  } catch {
    // Known to the server only, or to nobody.
    return formatterOf("");
  }
}

const formatter = chosen();

/** Its IANA name. */
export const zoneName = formatter.resolvedOptions().timeZone;

/** @param {number} n @param {number} [size] */
const digits = (n, size = 2) => String(n).padStart(size, "0");

/**
 * A time as its zone's clocks and calendars show it.
 * @param {number} ms since 1970
 */
export function local(ms) {
  /** @type {Record<string, string>} */
  const found = {};
  for (const { type, value } of formatter.formatToParts(ms)) found[type] = value;
  const { year, month, day, hour, minute, second } = found;
  const shown = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  return { date: `${year}-${month}-${day}`, time: `${hour}:${minute}:${second}`, offsetMinutes: Math.round((shown - Math.floor(ms / 1000) * 1000) / 60_000) };
}

/**
 * The zone at a time as people write it: UTC, UTC+8, UTC-3:30.
 * @param {number} ms
 */
export function zoneLabel(ms) {
  const minutes = local(ms).offsetMinutes;
  if (!minutes) return "UTC";
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "-" : "+"}${Math.floor(size / 60)}${size % 60 ? `:${digits(size % 60)}` : ""}`;
}

/**
 * The time that a clock of the zone shows as `text` (2026-11-24T02:00); NaN for none. Of the two times that a clock
 * turned back shows twice it is the first; one that is jumped over counts as if it had not been.
 * @param {string} text what a field of type datetime-local holds
 */
export function fromLocal(text) {
  const asUtc = Date.parse(`${text}Z`);
  if (Number.isNaN(asUtc)) return NaN;
  const early = asUtc - local(asUtc - 86_400_000).offsetMinutes * 60_000;
  const late = asUtc - local(asUtc + 86_400_000).offsetMinutes * 60_000;
  const isRight = (/** @type {number} */ ms) => ms + local(ms).offsetMinutes * 60_000 === asUtc;
  return [early, late].filter(isRight).sort((a, b) => a - b)[0] ?? early;
}
