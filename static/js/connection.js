// @ts-check
// The tab's live connection as a pure reducer: what happens to the state, and what is to be done about it. The shell around
// it is live.js, the protocol docs/live_protocol.md.

import { pauseMs } from "./backoff.js";
import { HIDDEN_MS, OPENING_MS, SILENT_MS, isWatching, pollAt, silentSince } from "./connection_state.js";
import { afterDelta, fromSnapshot } from "./store.js";

/**
 * @import { DeltaFrame, ErrorFrame, Frame, GoneFrame, Message, SnapshotFrame, TasksParams, Welcome } from "./types.d.ts"
 * @import { Followed, State } from "./connection_state.js"
 * @import { Known } from "./store.js"
 *
 * @typedef {{type: "same", topic: string, server_time: string, seen: string}} Same nothing has changed
 * @typedef {{type: "snapshot", topic: string, server_time: string, seen: string, data: unknown}} Polled
 *
 * @typedef {{type: "tick"}
 *   | {type: "subscribe", topic: string, params?: TasksParams}
 *   | {type: "pause", isPaused: boolean}
 *   | {type: "visibility", isHidden: boolean}
 *   | {type: "network"}
 *   | {type: "leaving"}
 *   | {type: "closed", code: number, random: number}
 *   | {type: "frame", frame: Frame}
 *   | {type: "polled", topic: string, status: number, answer: Same | Polled | null}} Happening
 *
 * @typedef {{do: "open"}
 *   | {do: "close"}
 *   | {do: "send", message: Message}
 *   | {do: "show", topic: string, document: unknown}
 *   | {do: "lost", topic: string, code: string}
 *   | {do: "poll", topic: string, params: TasksParams | undefined, seen: string}
 *   | {do: "clock", serverTime: string, delayMs: number}
 *   | {do: "look whether signed out"}
 *   | {do: "sign in"}} Effect
 */

export const ACK_MS = 200;
export const ACK_FRAMES = 8;
/** What the server could not read is asked for again after this. */
export const ASK_AGAIN_MS = 5_000;

const SIGNED_OUT = 4401;
const REFUSED = new Set([4400, 1003, 1009]);

/** One step: collects the new state and the effects. */
class Step {
  /** @type {Effect[]} */
  effects = [];

  /**
   * @param {State} state
   * @param {number} now
   */
  constructor(state, now) {
    this.state = state;
    this.now = now;
  }

  /** @param {Partial<State>} change */
  set(change) {
    this.state = { ...this.state, ...change };
  }

  /** @param {string} topic @param {Partial<Followed>} change */
  follow(topic, change) {
    this.set({ topics: { ...this.state.topics, [topic]: { ...this.state.topics[topic], ...change } } });
  }

  /** @param {Message} message */
  send(message) {
    this.effects.push({ do: "send", message });
  }

  open() {
    this.set({
      wire: "opening", retryAt: Infinity, frames: 0, acknowledged: 0, ackAt: Infinity, isPongDue: false, pingedAt: this.now,
    });
    this.effects.push({ do: "open" });
  }

  close() {
    if (this.state.wire === "off") return;
    this.set({ wire: "off", ackAt: Infinity, isPongDue: false, retryAt: Infinity });
    this.effects.push({ do: "close" });
  }

  ping() {
    this.set({ pingedAt: this.now, isPongDue: true });
    this.send({ type: "ping", t: this.now });
  }

  /**
   * Ask for a topic: for what came after what is known if the server may still have it, or for the whole.
   * @param {string} topic
   * @param {string} [epoch] of the server, if what is known may be gone on from
   */
  ask(topic, epoch) {
    const { params, known } = this.state.topics[topic];
    const isResumed = Boolean(known && epoch && known.epoch === epoch);
    this.follow(topic, { isAsked: !isResumed, askAt: Infinity });
    this.send({
      type: "sub",
      topic,
      ...(params && { params }),
      ...(isResumed && known && { known: { epoch: known.epoch, seq: known.seq } }),
    });
  }

  /** @param {string} topic @param {Known} known @param {Partial<Followed>} [more] */
  show(topic, known, more = {}) {
    this.follow(topic, { known, ...more });
    this.effects.push({ do: "show", topic, document: known.document });
  }

  /** @param {string} topic @param {string} code */
  lose(topic, code) {
    const { [topic]: gone, ...topics } = this.state.topics;
    if (!gone) return;
    this.set({ topics });
    this.effects.push({ do: "lost", topic, code });
  }

  /** After an absence of whatever kind: look at once whether the connection stands, or make one. */
  resume() {
    const { wire, isRefused } = this.state;
    if (!isWatching(this.state)) return;
    if (wire === "open") {
      this.send({ type: "visible", visible: true });
      this.ping();
    } else if (wire === "off" && !isRefused) this.open();
  }
}

/**
 * What follows from something that happens.
 * @param {State} before
 * @param {Happening} event
 * @param {number} now
 * @returns {{state: State, effects: Effect[]}}
 */
export function step(before, event, now) {
  const step = new Step(before, now);
  happened(step, event);
  return { state: step.state, effects: step.effects };
}

/** @param {Step} step @param {Happening} event */
function happened(step, event) {
  switch (event.type) {
    case "tick": return ticked(step);
    case "subscribe": return subscribed(step, event.topic, event.params);
    case "pause": return paused(step, event.isPaused);
    case "visibility": return turned(step, event.isHidden);
    case "network": return step.resume();
    case "leaving": return step.close();
    case "closed": return closed(step, event.code, event.random);
    case "frame": return received(step, event.frame);
    case "polled": return polled(step, event.topic, event.status, event.answer);
  }
}

/** @param {Step} step @param {string} topic @param {TasksParams | undefined} params */
function subscribed(step, topic, params) {
  step.follow(topic, { params, known: null, isAsked: false, askAt: Infinity, seen: "" });
  if (step.state.wire === "open") step.ask(topic);
}

/** A pause closes the connection: nothing at all travels, not even pings. @param {Step} step @param {boolean} isPaused */
function paused(step, isPaused) {
  step.set({ isPaused });
  if (isPaused) step.close();
  else again(step);
}

/** Somebody looks again: until now nothing was heard because nobody listened. @param {Step} step */
function again(step) {
  step.set({ watchedAt: step.now, apartAt: step.now });
  step.resume();
}

/** @param {Step} step @param {boolean} isHidden */
function turned(step, isHidden) {
  if (isHidden === step.state.isHidden) return undefined;
  step.set({ isHidden, hiddenAt: isHidden ? step.now : Infinity });
  if (!isHidden) return again(step);
  if (step.state.wire !== "open") return undefined;
  if (step.state.ackAt < Infinity) acknowledge(step);
  return step.send({ type: "visible", visible: false });
}

/** @param {Step} step @param {number} code @param {number} random */
function closed(step, code, random) {
  const { state, now } = step;
  // Closed by us: no news.
  if (state.wire === "off") return;
  const isRefused = REFUSED.has(code);
  step.set({
    wire: "off",
    ackAt: Infinity,
    isPongDue: false,
    isRefused,
    failures: state.failures + 1,
    retryAt: isRefused ? Infinity : now + pauseMs(state.failures, random),
    apartAt: state.wire === "open" ? now : state.apartAt,
  });
  if (code === SIGNED_OUT) step.effects.push({ do: "look whether signed out" });
}

/** @param {Step} step */
function ticked(step) {
  const { state, now } = step;
  if (state.isHidden && now - state.hiddenAt >= HIDDEN_MS) return step.close();
  if (!isWatching(state)) return undefined;
  const deadAt = state.wire === "opening" ? state.pingedAt + OPENING_MS : silentSince(state) + SILENT_MS;
  if (state.wire !== "off" && now >= deadAt) {
    closed(step, 1006, 0);
    step.effects.push({ do: "close" });
  } else if (state.wire === "open") {
    if (now >= state.ackAt) acknowledge(step);
    if (!state.isPongDue && now - state.pingedAt >= state.pingMs) step.ping();
    for (const [topic, { askAt }] of Object.entries(state.topics)) if (now >= askAt) step.ask(topic);
  }
  if (step.state.wire === "off" && now >= step.state.retryAt) step.open();
  poll(step);
  return undefined;
}

/** @param {Step} step */
function poll(step) {
  const { state, now } = step;
  if (now < pollAt(state)) return;
  const asked = Object.entries(state.topics);
  step.set({ polledAt: now, polls: asked.length });
  for (const [topic, { params, seen }] of asked) step.effects.push({ do: "poll", topic, params, seen });
}

/** @param {Step} step @param {string} topic @param {number} status @param {Same | Polled | null} answer */
function polled(step, topic, status, answer) {
  const polls = Math.max(step.state.polls - 1, 0);
  step.set({ polls, isPolled: answer !== null });
  if (status === 401) step.effects.push({ do: "sign in" });
  if (status === 404) step.lose(topic, "gone");
  if (answer === null) return;
  step.set({ heardAt: step.now });
  step.effects.push({ do: "clock", serverTime: answer.server_time, delayMs: 0 });
  // The connection, or a pause, may have come in between.
  if (!step.state.topics[topic] || step.state.wire === "open" || !isWatching(step.state)) return;
  if (answer.type === "same") step.follow(topic, { seen: answer.seen });
  else step.show(topic, fromSnapshot(answer), { seen: answer.seen });
}

/** @param {Step} step @param {Frame} frame */
function received(step, frame) {
  const { wire } = step.state;
  // Whatever else comes, a welcome comes before it.
  if (wire === "off" || (wire === "opening" && frame.type !== "welcome")) return undefined;
  step.set({ heardAt: step.now });
  switch (frame.type) {
    case "welcome": return welcomed(step, frame);
    case "snapshot":
    case "delta": return framed(step, frame);
    case "gone":
    case "error": return ended(step, frame);
    case "pong":
      step.set({ delayMs: step.now - frame.t, isPongDue: false });
      step.effects.push({ do: "clock", serverTime: frame.server_time, delayMs: (step.now - frame.t) / 2 });
      return undefined;
    default: return undefined; // A newer server may say more.
  }
}

/** @param {Step} step @param {Welcome} frame */
function welcomed(step, frame) {
  const { version, topics } = step.state;
  step.set({
    wire: "open",
    failures: 0,
    isPolled: false,
    pingMs: frame.ping_seconds * 1000,
    isOutdated: step.state.isOutdated || (version !== "" && version !== frame.version),
    version: version || frame.version,
  });
  step.effects.push({ do: "clock", serverTime: frame.server_time, delayMs: 0 });
  if (step.state.isHidden) step.send({ type: "visible", visible: false });
  for (const topic of Object.keys(topics)) step.ask(topic, frame.epoch);
  step.ping();
}

/** @param {Step} step @param {SnapshotFrame | DeltaFrame} frame */
function framed(step, frame) {
  const { frames, ackAt } = step.state;
  step.set({ frames: frames + 1, ackAt: Math.min(ackAt, step.now + ACK_MS) });
  if (frames + 1 - step.state.acknowledged >= ACK_FRAMES) acknowledge(step);
  const followed = step.state.topics[frame.topic];
  if (!followed) return;
  if (frame.type === "snapshot") {
    step.show(frame.topic, fromSnapshot(frame), { isAsked: false });
  } else if (!followed.isAsked) {
    const known = afterDelta(followed.known, frame);
    if (known === "gap") step.ask(frame.topic);
    else if (known !== "old") step.show(frame.topic, known);
  }
}

/** @param {Step} step */
function acknowledge(step) {
  step.set({ ackAt: Infinity, acknowledged: step.state.frames });
  step.send({ type: "ack", n: step.state.frames });
}

/** @param {Step} step @param {GoneFrame | ErrorFrame} frame */
function ended(step, frame) {
  const isToComeBack = frame.type === "error" && frame.code === "failed" && step.state.topics[frame.topic];
  if (isToComeBack) step.follow(frame.topic, { isAsked: true, askAt: step.now + ASK_AGAIN_MS });
  else step.lose(frame.topic, frame.type === "gone" ? "gone" : frame.code);
}
