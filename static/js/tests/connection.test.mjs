import assert from "node:assert/strict";
import { test } from "node:test";

import { ACK_FRAMES, ACK_MS, ASK_AGAIN_MS, step } from "../connection.js";
import { HIDDEN_MS, OPENING_MS, POLL_MS, SILENT_MS, STALE_MS, dueAt, initial, statusOf } from "../connection_state.js";

const TIME = "2026-11-23T16:57:11.000000Z";
const WELCOME = { type: "welcome", protocol: 1, server_time: TIME, epoch: "e", version: "1", ping_seconds: 20, max_hz: 4 };
const snapshot = (seq, data = {}) => ({ type: "snapshot", topic: "nodes", epoch: "e", seq, reason: "sub", data });
const delta = (from, seq, data = {}) => ({ type: "delta", topic: "nodes", epoch: "e", from, seq, data });

/** A tab on which things happen one after the other. */
class Tab {
  constructor() {
    this.now = 1_000;
    this.state = initial(this.now);
  }

  /** What is done about an event. */
  on(event) {
    const { state, effects } = step(this.state, event, this.now);
    this.state = state;
    return effects;
  }

  hear(...frames) {
    return frames.flatMap((frame) => this.on({ type: "frame", frame }));
  }

  /** Time passes with a tick at every moment that is due; everything that was done meanwhile. */
  wait(ms) {
    const end = this.now + ms;
    const done = [];
    for (let ticks = 0; ; ticks += 1) {
      assert.ok(ticks < 1_000, "it never comes to rest");
      const due = dueAt(this.state, this.now);
      if (due > end) break;
      this.now = Math.max(due, this.now);
      done.push(...this.on({ type: "tick" }));
    }
    this.now = end;
    return done;
  }

  get status() {
    return statusOf(this.state, this.now);
  }
}

const kinds = (effects) => effects.map((effect) => (effect.do === "send" ? effect.message.type : effect.do));
const said = (effects) => effects.filter((effect) => effect.do === "send").map(({ message }) => message);

/** Connected, following the nodes. */
function live() {
  const tab = new Tab();
  tab.on({ type: "subscribe", topic: "nodes" });
  tab.on({ type: "tick" });
  tab.hear(WELCOME, { type: "pong", t: tab.now, server_time: TIME }, snapshot(5, { n: 1 }));
  return tab;
}

/** A tab that no websocket gets through for. */
function polling() {
  const tab = new Tab();
  tab.on({ type: "subscribe", topic: "nodes" });
  tab.on({ type: "tick" });
  for (let i = 0; i < 3; i += 1) {
    tab.on({ type: "closed", code: 1006, random: 0 });
    tab.wait(1);
  }
  return tab;
}
const answered = (answer, status = 200) => ({ type: "polled", topic: "nodes", status, answer });
const whole = { type: "snapshot", topic: "nodes", server_time: TIME, seen: "7.1.aa", data: { n: 2 } };

test("it opens, is welcomed, subscribes and shows", () => {
  const tab = new Tab();
  assert.equal(tab.status, "connecting");
  assert.deepEqual(tab.on({ type: "subscribe", topic: "nodes" }), []);
  assert.deepEqual(kinds(tab.on({ type: "tick" })), ["open"]);
  assert.deepEqual(kinds(tab.hear(WELCOME)), ["clock", "sub", "ping"]);
  const [shown] = tab.hear(snapshot(5, { n: 1 }));
  assert.deepEqual(shown, { do: "show", topic: "nodes", document: { n: 1 } });
  assert.equal(tab.status, "live");
});

test("a step leaves the state before it as it was", () => {
  const before = initial(0);
  Object.freeze(before);
  Object.freeze(before.topics);
  const { state } = step(before, { type: "subscribe", topic: "nodes" }, 0);
  assert.deepEqual(Object.keys(state.topics), ["nodes"]);
});

test("deltas are applied, old ones ignored, and a gap asks for the whole", () => {
  const tab = live();
  assert.deepEqual(tab.hear(delta(5, 6, { n: 2 })), [{ do: "show", topic: "nodes", document: { n: 2 } }]);
  assert.deepEqual(tab.hear(delta(5, 6)), []);
  assert.deepEqual(said(tab.hear(delta(8, 9))), [{ type: "sub", topic: "nodes" }]);
  // What was under way before the answer means nothing any more.
  assert.deepEqual(tab.hear(delta(9, 10)), []);
  assert.deepEqual(kinds(tab.hear(snapshot(12))), ["show"]);
});

test("frames are acknowledged after a moment, or after a few", () => {
  const tab = live();
  assert.deepEqual(said(tab.wait(ACK_MS)), [{ type: "ack", n: 1 }]);
  const frames = Array.from({ length: ACK_FRAMES }, (_, i) => delta(5 + i, 6 + i));
  assert.deepEqual(said(tab.hear(...frames)), [{ type: "ack", n: 1 + ACK_FRAMES }]);
  assert.deepEqual(said(tab.wait(ACK_MS)), []);
});

test("after a lost connection it goes on from what it knows", () => {
  const tab = live();
  tab.on({ type: "closed", code: 1006, random: 0.5 });
  assert.equal(tab.status, "reconnecting");
  assert.deepEqual(kinds(tab.wait(1_000)), ["open"]);
  assert.deepEqual(said(tab.hear(WELCOME))[0], { type: "sub", topic: "nodes", known: { epoch: "e", seq: 5 } });
  assert.deepEqual(tab.hear({ type: "resumed", topic: "nodes", seq: 5 }), []);
  assert.deepEqual(kinds(tab.hear(delta(5, 9))), ["show"]);
});

test("another server is asked for the whole", () => {
  const tab = live();
  tab.on({ type: "closed", code: 1012, random: 0 });
  tab.wait(1);
  assert.deepEqual(said(tab.hear({ ...WELCOME, epoch: "f", version: "2" }))[0], { type: "sub", topic: "nodes" });
  assert.equal(tab.state.isOutdated, true);
});

test("a pause closes the connection, and nothing happens until it ends", () => {
  const tab = live();
  assert.deepEqual(kinds(tab.on({ type: "pause", isPaused: true })), ["close"]);
  assert.equal(tab.status, "paused");
  assert.deepEqual(tab.on({ type: "closed", code: 1000, random: 0 }), []);
  assert.deepEqual(tab.on({ type: "network" }), []);
  assert.deepEqual(tab.on({ type: "visibility", isHidden: true }), []);
  assert.deepEqual(tab.on({ type: "visibility", isHidden: false }), []);
  assert.deepEqual(tab.wait(3_600_000), []);
  assert.deepEqual(tab.on({ type: "tick" }), []);
  assert.deepEqual(kinds(tab.on({ type: "pause", isPaused: false })), ["open"]);
  assert.equal(tab.status, "reconnecting");
});

test("a pause stops polls too, and an answer that comes late is not shown", () => {
  const tab = polling();
  tab.on({ type: "pause", isPaused: true });
  assert.deepEqual(kinds(tab.on(answered(whole))), ["clock"]);
  assert.deepEqual(tab.wait(60_000), []);
});

test("a hidden tab is silent, then gives its connection back, and goes on when it is looked at", () => {
  const tab = live();
  assert.deepEqual(said(tab.on({ type: "visibility", isHidden: true })), [{ type: "ack", n: 1 }, { type: "visible", visible: false }]);
  assert.deepEqual(kinds(tab.wait(HIDDEN_MS)), ["close"]);
  assert.deepEqual(tab.wait(3_600_000), []);
  assert.deepEqual(kinds(tab.on({ type: "visibility", isHidden: false })), ["open"]);
  assert.notEqual(tab.status, "stale");
});

test("a tab that was hidden for a while only looks whether its connection stands", () => {
  const tab = live();
  tab.on({ type: "visibility", isHidden: true });
  tab.wait(HIDDEN_MS - 1);
  assert.deepEqual(kinds(tab.on({ type: "visibility", isHidden: false })), ["visible", "ping"]);
  assert.deepEqual(tab.wait(STALE_MS - 1), []);
});

test("pings go out, and their answers tell the delay", () => {
  const tab = live();
  tab.wait(20_000 - 1);
  assert.deepEqual(said(tab.wait(1)), [{ type: "ping", t: tab.now }]);
  const t = tab.now;
  tab.now += 40;
  assert.deepEqual(tab.hear({ type: "pong", t, server_time: TIME }), [{ do: "clock", serverTime: TIME, delayMs: 20 }]);
  assert.equal(tab.state.delayMs, 40);
});

test("an unanswered ping makes the page stale, and then the connection dead", () => {
  const tab = live();
  tab.wait(20_000);
  assert.equal(tab.status, "live");
  tab.wait(STALE_MS);
  assert.equal(tab.status, "stale");
  assert.deepEqual(kinds(tab.wait(SILENT_MS - 20_000 - STALE_MS)), ["close", "open"]);
});

test("a connection that does not come about is given up", () => {
  const tab = new Tab();
  tab.on({ type: "tick" });
  assert.deepEqual(kinds(tab.wait(OPENING_MS)), ["close", "open"]);
});

test("without a connection the page is stale after ten seconds, and a tick for that comes once", () => {
  const tab = live();
  tab.on({ type: "closed", code: 1006, random: 1 });
  tab.wait(STALE_MS);
  assert.equal(tab.status, "stale");
});

test("after three failures the documents are asked for every three seconds", () => {
  const tab = polling();
  assert.equal(tab.state.polls, 1);
  assert.deepEqual(kinds(tab.on(answered(whole))), ["clock", "show"]);
  assert.equal(tab.status, "polling");
  const again = tab.wait(POLL_MS).filter((effect) => effect.do === "poll");
  assert.deepEqual(again, [{ do: "poll", topic: "nodes", params: undefined, seen: "7.1.aa" }]);
  const same = { type: "same", topic: "nodes", server_time: TIME, seen: "8.2.aa" };
  assert.deepEqual(kinds(tab.on(answered(same))), ["clock"]);
  assert.equal(tab.state.topics.nodes.seen, "8.2.aa");
  assert.equal(tab.status, "polling");
});

test("a poll that is under way is waited for", () => {
  const tab = polling();
  assert.deepEqual(tab.wait(STALE_MS).filter((effect) => effect.do === "poll"), []);
  tab.on(answered(null, 0));
  assert.equal(tab.wait(1).filter((effect) => effect.do === "poll").length, 1);
  assert.equal(tab.status, "stale");
});

test("a websocket that hangs does not keep the page from asking", () => {
  const tab = new Tab();
  tab.on({ type: "subscribe", topic: "nodes" });
  tab.on({ type: "tick" });
  assert.deepEqual(kinds(tab.wait(10_000)), ["poll"]);
});

test("polls end when the connection is there, and nothing of theirs is gone on from", () => {
  const tab = polling();
  tab.on(answered(whole));
  tab.wait(1);
  assert.deepEqual(said(tab.hear(WELCOME))[0], { type: "sub", topic: "nodes" });
  assert.equal(tab.status, "live");
  assert.deepEqual(tab.wait(POLL_MS).filter((effect) => effect.do === "poll"), []);
});

test("who is refused does not try again, but asks", () => {
  const tab = live();
  tab.on({ type: "closed", code: 4400, random: 0 });
  assert.equal(tab.state.isRefused, true);
  assert.deepEqual([...new Set(kinds(tab.wait(600_000)))], ["poll"]);
  assert.deepEqual(tab.on({ type: "network" }), []);
});

test("an ended session leads to the login", () => {
  assert.deepEqual(live().on({ type: "closed", code: 4401, random: 0 }), [{ do: "look whether signed out" }]);
  assert.deepEqual(polling().on(answered(null, 401)), [{ do: "sign in" }]);
});

test("what is gone is told once, what could not be read is asked for again", () => {
  const tab = live();
  const failed = { type: "error", topic: "nodes", code: "failed", message: "" };
  assert.deepEqual(tab.hear(failed), []);
  assert.deepEqual(said(tab.wait(ASK_AGAIN_MS)).filter(({ type }) => type === "sub"), [{ type: "sub", topic: "nodes" }]);
  assert.deepEqual(tab.hear({ type: "gone", topic: "nodes" }), [{ do: "lost", topic: "nodes", code: "gone" }]);
  assert.deepEqual(tab.hear({ type: "gone", topic: "nodes" }), []);
  assert.deepEqual(polling().on(answered(null, 404)).at(-1), { do: "lost", topic: "nodes", code: "gone" });
});

test("a page that is left gives its connection back, and takes a new one when it is returned to", () => {
  const tab = live();
  assert.deepEqual(kinds(tab.on({ type: "leaving" })), ["close"]);
  assert.deepEqual(kinds(tab.on({ type: "network" })), ["open"]);
});

test("whatever happens in whatever state, it comes to rest and keeps its numbers", () => {
  const events = [
    { type: "tick" }, { type: "subscribe", topic: "nodes" }, { type: "pause", isPaused: true },
    { type: "pause", isPaused: false }, { type: "visibility", isHidden: true }, { type: "visibility", isHidden: false },
    { type: "network" }, { type: "leaving" }, { type: "closed", code: 1006, random: 0.5 },
    { type: "closed", code: 4400, random: 0 }, { type: "frame", frame: WELCOME }, { type: "frame", frame: snapshot(5) },
    { type: "frame", frame: delta(5, 6) }, { type: "frame", frame: { type: "pong", t: 1, server_time: TIME } },
    { type: "frame", frame: { type: "news of a later version" } }, answered(whole), answered(null, 0),
  ];
  for (const first of events) {
    for (const second of events) {
      for (const third of events) {
        const tab = new Tab();
        for (const event of [first, second, third]) {
          const sockets = tab.state.wire;
          const done = tab.on(event);
          // Nothing is sent without a connection, and no second one is opened beside the first.
          if (done.some((effect) => effect.do === "send")) assert.equal(tab.state.wire, "open");
          if (kinds(done)[0] === "open") assert.equal(sockets, "off");
          if (tab.state.isPaused) assert.equal(tab.state.wire, "off");
          assert.ok(tab.state.polls >= 0 && tab.state.acknowledged <= tab.state.frames);
        }
        tab.wait(120_000);
      }
    }
  }
});
