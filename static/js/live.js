// @ts-check
// The tab's one live connection: does what connection.js decides, and tells it what happens. Without a websocket the same
// documents are asked for every few seconds.

import { serverNow, setServerTime } from "./clock.js";
import { step } from "./connection.js";
import { dueAt, initial, statusOf } from "./connection_state.js";
import { paced } from "./pace.js";
import { preference } from "./preferences.js";

/** @import { DocumentOf, TasksParams, Topic } from "./types.d.ts" */
/** @import { Effect, Happening } from "./connection.js" */

const SNAPSHOT = "/live/snapshot?";
const PATIENCE_MS = 10_000;
/** Timers may not be longer, and need not be. */
const LONGEST_MS = 60_000;

/**
 * @typedef {object} Follower of a topic
 * @property {(document: never) => void} shown takes the document of the topic
 * @property {(code: string) => void} lost
 */

class Live extends EventTarget {
  #state = initial(performance.now());
  /** @type {Map<string, Follower>} */
  #followers = new Map();
  /** @type {WebSocket | null} */
  #socket = null;
  #timer = 0;
  #isStarted = false;

  /** @returns {import("./connection_state.js").Status} */
  get status() {
    return statusOf(this.#state, performance.now());
  }

  /** Round trip to the server in ms, 0 while unknown. */
  get delayMs() {
    return this.#state.delayMs;
  }

  /** When something was last heard, on the server's clock. */
  get heardAt() {
    return serverNow() - (performance.now() - this.#state.heardAt);
  }

  /** Another version of the server than the first one answers. */
  get isOutdated() {
    return this.#state.isOutdated;
  }

  /** Whether the server has refused the connection for good. */
  get isRefused() {
    return this.#state.isRefused;
  }

  /** Whether the user stopped updates. */
  get isPaused() {
    return this.#state.isPaused;
  }

  /**
   * Follow a topic.
   * @template {Topic} T
   * @param {T} topic
   * @param {(document: DocumentOf<T>) => void} shown called with every new document
   * @param {{params?: TasksParams, lost?: (code: string) => void}} [options]
   */
  subscribe(topic, shown, { params, lost = () => {} } = {}) {
    // What an earlier subscription still has to show, when its turn comes, is of something else, and would stay.
    const show = (/** @type {DocumentOf<T>} */ document) => this.#followers.get(topic) === follower && shown(document);
    const follower = { shown: paced(show, Number(preference("pace")) * 1000), lost };
    this.#followers.set(topic, follower);
    this.#happened({ type: "subscribe", topic, params });
  }

  /** Stop updates, or let them go on. @param {boolean} isPaused */
  pause(isPaused) {
    this.#happened({ type: "pause", isPaused });
  }

  /** Begin; called once per page. */
  start() {
    const look = () => this.#happened({ type: "visibility", isHidden: document.hidden });
    document.addEventListener("visibilitychange", look);
    addEventListener("online", () => this.#happened({ type: "network" }));
    // An open socket would keep the page out of the browser's back-forward cache.
    addEventListener("pagehide", () => this.#happened({ type: "leaving" }));
    addEventListener("pageshow", (event) => event.persisted && this.#happened({ type: "network" }));
    this.#isStarted = true;
    look();
    this.#happened({ type: "tick" });
  }

  /** @param {Happening} event */
  #happened(event) {
    const { state, effects } = step(this.#state, event, performance.now());
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
    clearTimeout(this.#timer);
    const wait = dueAt(this.#state, performance.now()) - performance.now();
    if (this.#isStarted && wait < Infinity) {
      this.#timer = setTimeout(() => this.#happened({ type: "tick" }), Math.min(Math.max(wait, 10), LONGEST_MS));
    }
    this.dispatchEvent(new Event("status"));
  }

  /** @param {Effect} effect */
  #perform(effect) {
    switch (effect.do) {
      case "open": return this.#open();
      case "close": return this.#close();
      case "send": return this.#socket?.send(JSON.stringify(effect.message));
      case "show": return this.#followers.get(effect.topic)?.shown(/** @type {never} */ (effect.document));
      case "lost": return this.#followers.get(effect.topic)?.lost(effect.code);
      case "poll": return void this.#poll(effect.topic, effect.params, effect.seen);
      case "clock": return setServerTime(effect.serverTime, effect.delayMs);
      case "look whether signed out": return void this.#leaveIfSignedOut();
      case "sign in": return leave();
    }
  }

  #open() {
    const address = new URL("/ws/v1/live", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      if (socket === this.#socket) this.#happened({ type: "frame", frame: JSON.parse(data) });
    });
    socket.addEventListener("close", ({ code }) => {
      if (socket === this.#socket) this.#happened({ type: "closed", code, random: Math.random() });
    });
  }

  #close() {
    const socket = this.#socket;
    this.#socket = null;
    // A socket that is not there yet cannot be closed without the browser's complaint: it is closed once it is.
    if (socket?.readyState === WebSocket.CONNECTING) socket.addEventListener("open", () => socket.close());
    else socket?.close();
  }

  /**
   * @param {string} topic
   * @param {TasksParams | undefined} params
   * @param {string} seen
   */
  async #poll(topic, params, seen) {
    const { filters = {}, ...rest } = params ?? {};
    const query = new URLSearchParams({ topic });
    for (const [name, value] of Object.entries({ ...filters, ...rest, seen: seen || null })) {
      if (value !== null && value !== undefined) query.set(name, String(value));
    }
    let status = 0;
    let answer = null;
    try {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      const response = await fetch(SNAPSHOT + query, { headers: { Accept: "application/json" }, signal });
      status = response.status;
      if (response.ok) answer = await response.json();
    } catch {
      // Nobody answered, or nothing that can be read: that is status 0, and no answer.
    }
    this.#happened({ type: "polled", topic, status, answer });
  }

  /** Go to the login, unless only the websocket takes us for signed out: then the login would send us back here. */
  async #leaveIfSignedOut() {
    const answer = await fetch(SNAPSHOT + new URLSearchParams({ topic: "queues" })).catch(() => null);
    if (answer?.status === 401) leave();
  }
}

/** Go to the login, and from there back here. */
function leave() {
  location.assign(`/login/?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/** The live connection of this page. */
export const live = new Live();
