// @ts-check
// What a tab knows of its live connection, what the pill says of it, and when something is due by itself. Pure. Times are
// milliseconds on a clock that only goes forward.

/**
 * @import { TasksParams } from "./types.d.ts"
 * @import { Known } from "./store.js"
 *
 * @typedef {"connecting" | "reconnecting" | "live" | "paused" | "polling" | "stale"} Status
 *
 * @typedef {object} Followed a topic that the page follows
 * @property {TasksParams | undefined} params
 * @property {Known | null} known
 * @property {boolean} isAsked A snapshot is on its way: deltas from before it mean nothing.
 * @property {number} askAt when to ask again for what the server could not read; Infinity: not at all
 * @property {string} seen what the last answer to a poll said of itself; "" if there was none
 *
 * @typedef {object} State
 * @property {"off" | "opening" | "open"} wire open: welcomed
 * @property {number} failures attempts in a row that did not lead to a welcome
 * @property {number} retryAt when to try again; Infinity: not by itself
 * @property {boolean} isPaused The reader stopped updates.
 * @property {boolean} isHidden
 * @property {number} hiddenAt
 * @property {boolean} isRefused The server does not understand us: there is no point in trying again.
 * @property {boolean} isOutdated Another version of the server than the first one answers.
 * @property {string} version of the server that answered first
 * @property {number} heardAt when something was last heard
 * @property {number} watchedAt since when somebody looks: before that, silence means nothing
 * @property {number} apartAt since when there is no connection
 * @property {number} pingMs
 * @property {number} pingedAt
 * @property {boolean} isPongDue
 * @property {number} delayMs round trip to the server; 0 while unknown
 * @property {number} frames of this connection
 * @property {number} acknowledged
 * @property {number} ackAt Infinity: nothing to acknowledge
 * @property {number} polledAt
 * @property {number} polls requests under way
 * @property {boolean} isPolled The last poll was answered.
 * @property {Record<string, Followed>} topics
 */

/** So long without an answer to a ping, or to anything while there is no connection, the figures count as old. */
export const STALE_MS = 10_000;
/** So long without an answer the connection is dead; so long it may take to come about. */
export const SILENT_MS = 45_000;
export const OPENING_MS = 15_000;
/** Without a connection the documents are asked for this often, after so many failures or so long. */
export const POLL_MS = 3_000;
const POLL_AFTER_FAILURES = 3;
const POLL_AFTER_MS = 10_000;
/** A tab that is hidden for so long gives its connection back. */
export const HIDDEN_MS = 60_000;

/**
 * @param {number} now
 * @returns {State}
 */
export const initial = (now) => ({
  wire: "off", failures: 0, retryAt: now, isPaused: false, isHidden: false, hiddenAt: Infinity, isRefused: false,
  isOutdated: false, version: "", heardAt: now, watchedAt: now, apartAt: now, pingMs: 20_000, pingedAt: now,
  isPongDue: false, delayMs: 0, frames: 0, acknowledged: 0, ackAt: Infinity, polledAt: -Infinity, polls: 0,
  isPolled: false, topics: {},
});

/** @param {State} state Whether anybody looks and wants to see what happens. */
export const isWatching = ({ isHidden, isPaused }) => !isHidden && !isPaused;

/** @param {State} state From when on the documents are asked for. */
function pollsFrom({ wire, isRefused, failures, apartAt }) {
  if (wire === "open") return Infinity;
  return isRefused || failures >= POLL_AFTER_FAILURES ? -Infinity : apartAt + POLL_AFTER_MS;
}

/** @param {State} state When the next round of polls begins; Infinity: not by itself. */
export const pollAt = (state) => (state.polls ? Infinity : Math.max(pollsFrom(state), state.polledAt + POLL_MS));

/** @param {State} state Since when nothing was heard although somebody listened. */
export const silentSince = ({ heardAt, watchedAt }) => Math.max(heardAt, watchedAt);

/**
 * What the pill says.
 * @param {State} state
 * @param {number} now
 * @returns {Status}
 */
export function statusOf(state, now) {
  if (state.isPaused) return "paused";
  if (state.wire === "open") return state.isPongDue && now - state.pingedAt >= STALE_MS ? "stale" : "live";
  if (now - silentSince(state) >= STALE_MS) return "stale";
  if (state.isPolled && now >= pollsFrom(state)) return "polling";
  return state.version ? "reconnecting" : "connecting";
}

/**
 * When the next tick is needed, if nothing happens before; Infinity: never.
 * @param {State} state
 * @param {number} now
 */
export function dueAt(state, now) {
  if (state.isPaused) return Infinity;
  if (state.isHidden) return state.wire === "off" ? Infinity : state.hiddenAt + HIDDEN_MS;
  /** What only changes the status needs one tick. @param {number} at */
  const once = (at) => (at > now ? at : Infinity);
  if (state.wire === "open") {
    const asks = Object.values(state.topics).map(({ askAt }) => askAt);
    const pong = state.isPongDue ? once(state.pingedAt + STALE_MS) : state.pingedAt + state.pingMs;
    return Math.min(state.ackAt, pong, silentSince(state) + SILENT_MS, ...asks);
  }
  const opening = state.wire === "opening" ? state.pingedAt + OPENING_MS : state.retryAt;
  return Math.min(opening, pollAt(state), once(silentSince(state) + STALE_MS));
}
