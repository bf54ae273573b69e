// @ts-check
// The tab's one websocket: topics are subscribed to, documents arrive whole once and then as deltas. The protocol is
// described in docs/live_protocol.md. Without a websocket the same documents are asked for every few seconds.

import { pauseMs } from "./backoff.js";
import { serverNow, setServerTime } from "./clock.js";
import { afterDelta, fromSnapshot } from "./store.js";

const ACK_MS = 200;
const ACK_FRAMES = 8;
const SILENT_MS = 45_000;
const STALE_MS = 10_000;
const POLL_MS = 3_000;
const POLL_AFTER_FAILURES = 3;
const SNAPSHOT = "/live/snapshot?";
const SIGNED_OUT = 4401;
const REFUSED = new Set([4400, 1003, 1009]);

/**
 * @import { DeltaFrame, DocumentOf, ErrorFrame, Frame, GoneFrame, Message, Pong, SnapshotFrame, TasksParams, Topic, Welcome } from "./types.d.ts"
 *
 * @typedef {"connecting" | "reconnecting" | "live" | "paused" | "polling" | "stale"} Status
 * @typedef {object} Subscription
 * @property {string} topic
 * @property {TasksParams | undefined} params
 * @property {(document: never) => void} shown takes the document of the topic
 * @property {(code: string) => void} lost
 * @property {import("./store.js").Known | null} known
 * @property {boolean} isAsked A snapshot is on its way.
 */

class Live extends EventTarget {
  /** @type {Status} */
  status = "connecting";
  /** Round trip to the server in ms, 0 while unknown. */
  delayMs = 0;
  /** When something was last heard, on the server's clock. */
  heardAt = serverNow();
  /** Another version of the server than the first one answers. */
  isOutdated = false;
  isRefused = false;

  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Map<string, Subscription>} */
  #topics = new Map();
  #failures = 0;
  #frames = 0;
  #acknowledged = 0;
  #ackTimer = 0;
  #retryTimer = 0;
  #isPaused = false;
  #isPolled = false;
  #version = "";
  #pingMs = 20_000;
  #pingedAt = 0;
  #aliveAt = performance.now();

  /**
   * Follow a topic.
   * @template {Topic} T
   * @param {T} topic
   * @param {(document: DocumentOf<T>) => void} shown called with every new document
   * @param {{params?: TasksParams, lost?: (code: string) => void}} [options]
   */
  subscribe(topic, shown, { params, lost = () => {} } = {}) {
    const subscription = { topic, params, shown, lost, known: null, isAsked: false };
    this.#topics.set(topic, subscription);
    this.#ask(subscription);
  }

  /** Whether the user stopped updates. */
  get isPaused() {
    return this.#isPaused;
  }

  /** Stop updates, or let them go on. @param {boolean} isPaused */
  pause(isPaused) {
    this.#isPaused = isPaused;
    this.#sayVisible();
    this.#report();
  }

  /** Begin; called once per page. */
  start() {
    document.addEventListener("visibilitychange", () => this.#wake());
    addEventListener("online", () => this.#wake());
    // An open socket would keep the page out of the browser's back-forward cache.
    addEventListener("pagehide", () => this.#socket?.readyState === WebSocket.OPEN && this.#socket.close());
    addEventListener("pageshow", (event) => event.persisted && this.#wake());
    this.#connect();
    setInterval(() => this.#tick(), 1000);
    setInterval(() => this.#poll(), POLL_MS);
  }

  #wake() {
    this.#aliveAt = performance.now();
    if (this.#socket) {
      this.#sayVisible();
      // A hidden tab sends no pings: only now does it show whether the connection still stands.
      if (!document.hidden) this.#ping();
    } else if (!document.hidden) {
      clearTimeout(this.#retryTimer);
      this.#connect();
    }
  }

  #connect() {
    this.#retryTimer = 0;
    if (document.hidden) return;
    const address = new URL("/ws/v1/live", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    this.#socket = socket;
    this.#frames = 0;
    this.#acknowledged = 0;
    this.#pingedAt = 0;
    this.#aliveAt = performance.now();
    socket.addEventListener("message", (event) => socket === this.#socket && this.#received(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => socket === this.#socket && this.#closed(event.code));
  }

  /** @param {number} code */
  #closed(code) {
    this.#socket = null;
    clearTimeout(this.#ackTimer);
    this.#ackTimer = 0;
    if (code === SIGNED_OUT) this.#leaveIfSignedOut();
    if (REFUSED.has(code)) {
      this.isRefused = true;
      this.#failures = POLL_AFTER_FAILURES;
      this.#report();
      return;
    }
    this.#retryTimer = setTimeout(() => this.#connect(), pauseMs(this.#failures, Math.random()));
    this.#failures += 1;
    this.#report();
  }

  /** Go to the login, unless only the websocket takes us for signed out: then the login would send us back here. */
  async #leaveIfSignedOut() {
    const answer = await fetch(SNAPSHOT + new URLSearchParams({ topic: "queues" })).catch(() => null);
    if (answer?.status === 401) this.#leave();
  }

  /** Go to the login, and from there back here. */
  #leave() {
    location.assign(`/login/?next=${encodeURIComponent(location.pathname + location.search)}`);
  }

  /** @param {Message} message */
  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** @param {Subscription} subscription */
  #ask(subscription) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    subscription.isAsked = true;
    const { topic, params } = subscription;
    this.#send(params ? { type: "sub", topic, params } : { type: "sub", topic });
  }

  #sayVisible() {
    this.#send({ type: "visible", visible: this.#isWatching() });
  }

  #isWatching() {
    return !document.hidden && !this.#isPaused;
  }

  /** @param {Frame} frame */
  #received(frame) {
    this.heardAt = serverNow();
    this.#aliveAt = performance.now();
    if (frame.type === "welcome") this.#welcomed(frame);
    else if (frame.type === "pong") this.#ponged(frame);
    else if (frame.type === "snapshot" || frame.type === "delta") this.#framed(frame);
    else if (frame.type === "gone" || frame.type === "error") this.#lost(frame);
    this.#report();
  }

  /** @param {Welcome} frame */
  #welcomed(frame) {
    this.#failures = 0;
    this.#isPolled = false;
    setServerTime(frame.server_time);
    this.#pingMs = frame.ping_seconds * 1000;
    this.isOutdated = this.#version !== "" && this.#version !== frame.version;
    this.#version ||= frame.version;
    for (const subscription of this.#topics.values()) this.#ask(subscription);
    if (!this.#isWatching()) this.#sayVisible();
    this.#ping();
  }

  #ping() {
    this.#pingedAt = performance.now();
    this.#send({ type: "ping", t: this.#pingedAt });
  }

  /** @param {Pong} frame */
  #ponged(frame) {
    this.delayMs = performance.now() - frame.t;
    setServerTime(frame.server_time, this.delayMs / 2);
  }

  /** @param {SnapshotFrame | DeltaFrame} frame */
  #framed(frame) {
    this.#frames += 1;
    if (this.#frames - this.#acknowledged >= ACK_FRAMES) this.#acknowledge();
    else this.#ackTimer ||= setTimeout(() => this.#acknowledge(), ACK_MS);
    const subscription = this.#topics.get(frame.topic);
    if (!subscription) return;
    if (frame.type === "snapshot") {
      subscription.isAsked = false;
      this.#show(subscription, fromSnapshot(frame));
    } else if (!subscription.isAsked) {
      const known = afterDelta(subscription.known, frame);
      if (known === "gap") this.#ask(subscription);
      else if (known !== "old") this.#show(subscription, known);
    }
  }

  #acknowledge() {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = 0;
    this.#acknowledged = this.#frames;
    this.#send({ type: "ack", n: this.#frames });
  }

  /**
   * @param {Subscription} subscription
   * @param {import("./store.js").Known} known
   */
  #show(subscription, known) {
    subscription.known = known;
    subscription.shown(/** @type {never} */ (known.document));
  }

  /** @param {GoneFrame | Pick<ErrorFrame, "type" | "topic" | "code">} frame */
  #lost(frame) {
    const subscription = this.#topics.get(frame.topic);
    if (!subscription) return;
    this.#topics.delete(frame.topic);
    subscription.lost(frame.type === "gone" ? "gone" : frame.code);
  }

  #tick() {
    if (document.hidden) return;
    const now = performance.now();
    if (this.#socket && now - this.#aliveAt > SILENT_MS) {
      const dead = this.#socket;
      this.#closed(1006);
      dead.close();
    } else if (this.#pingedAt && now - this.#pingedAt > this.#pingMs) {
      this.#ping();
    }
    this.#report();
  }

  async #poll() {
    if (this.#failures < POLL_AFTER_FAILURES || !this.#isWatching()) return;
    for (const subscription of [...this.#topics.values()]) {
      const { filters = {}, ...rest } = subscription.params ?? {};
      const query = new URLSearchParams({ topic: subscription.topic });
      for (const [name, value] of Object.entries({ ...filters, ...rest })) {
        if (value !== null && value !== undefined) query.set(name, String(value));
      }
      try {
        const answer = await fetch(SNAPSHOT + query, { headers: { Accept: "application/json" } });
        if (answer.status === 404) this.#lost({ type: "gone", topic: subscription.topic });
        if (answer.status === 401) this.#leave();
        if (!answer.ok) continue;
        const frame = await answer.json();
        setServerTime(frame.server_time);
        this.heardAt = serverNow();
        this.#isPolled = true;
        this.#show(subscription, fromSnapshot(frame));
      } catch {
        this.#isPolled = false;
      }
    }
    this.#report();
  }

  #report() {
    this.status = this.#statusNow();
    this.dispatchEvent(new Event("status"));
  }

  /** @returns {Status} */
  #statusNow() {
    if (this.#isPaused) return "paused";
    if (this.#socket?.readyState === WebSocket.OPEN && !this.#failures) return "live";
    if (this.#isPolled && serverNow() - this.heardAt < STALE_MS) return "polling";
    if (serverNow() - this.heardAt > STALE_MS) return "stale";
    return this.#version ? "reconnecting" : "connecting";
  }
}

/** The live connection of this page. */
export const live = new Live();
