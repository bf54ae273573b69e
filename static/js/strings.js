// @ts-check
// Every text that scripts put on a page, in one place, so that another language is one more table.

/** @type {Record<string, string>} */
const EN = {
  "time.s": "{n}s",
  "time.m": "{n}m",
  "time.h": "{n}h",
  "time.d": "{n}d",
  "time.ago": "{span} ago",
  "time.just_now": "just now",
  "time.now": "now",
  "time.in": "in {span}",
  "time.below_ms": "<1 ms",
  "time.ms": "{n} ms",
  "time.seconds": "{n} s",
  "time.minutes": "{m}m {s}s",
  "time.hours": "{h}h {m}m",
  "time.days": "{d}d {h}h",

  "state.scheduled": "Scheduled",
  "state.queued": "Queued",
  "state.dispatched": "Dispatched",
  "state.running": "Running",
  "state.retrying": "Retrying",
  "state.cancelling": "Cancelling",
  "state.succeeded": "Succeeded",
  "state.failed": "Failed",
  "state.cancelled": "Cancelled",
  "state.expired": "Expired",
  "state.online": "Online",
  "state.suspect": "Silent",
  "state.offline": "Offline",
  "state.draining": "Draining",
  "state.disabled": "Disabled",
  "state.paused": "Paused",
  "state.waiting": "Waiting",
  "state.idle": "Idle",
  "state.timed_out": "Timed out",
  "state.crashed": "Crashed",
  "state.lost": "Lost",
  "state.rejected": "Rejected",
  "state.released": "Handed back",
  "state.superseded": "Superseded",
  "state.closed": "Closed",
  "state.open": "Open",
  "state.half_open": "Half open",

  "live.connecting": "Connecting",
  "live.reconnecting": "Reconnecting",
  "live.live": "Live",
  "live.delay": "Live · {delay}",
  "live.paused": "Paused",
  "live.polling": "Polling",
  "live.stale": "Stale {span}",
  "live.stale_banner": "Connection lost. The figures are as of {time}; reconnecting…",
  "live.refused": "The server refused the live connection; asking every few seconds instead.",
  "live.new_version": "A newer version of taskdist is running.",
  "live.reload": "Reload",
  "live.restored": "Live updates are back.",
  "live.pause_hint": "Pause live updates (p)",
  "live.resume_hint": "Continue live updates (p)",

  "toast.close": "Close",
  "error.network": "The server cannot be reached. Nothing was changed; try again.",
  "error.failed": "That did not work (HTTP {status}).",
  "error.forbidden": "You may look, but not change this: it needs the operator role.",
  "error.signed_out": "You are signed out. Sign in again in another tab, then repeat this.",

  "task.cancel": "Cancel task",
  "task.retried": "Submitted again as task {id}.",
  "task.open": "Open",
  "task.cancelled": "Task {id} is cancelled.",
  "task.cancel_requested": "Asked the node to stop task {id}.",
  "task.gone": "This task was deleted for its age.",
  "task.cancel_title": "Cancel task {id}?",
  "task.cancel_text": "It is on a node. The node is asked to stop it; work done so far is lost.",
  "task.copied": "Copied.",
  "task.announced": "Task {id} is now:",

  "tasks.select": "Select task {id}",
  "tasks.retry_n": "Retry {n}",
  "tasks.cancel_n": "Cancel {n}",
  "tasks.selected": "{n} selected",
  "tasks.retry_title": "Retry {n} tasks?",
  "tasks.retry_title.one": "Retry this task?",
  "tasks.retry_text": "Each becomes a new task with the same payload. The old ones stay as they are.",
  "tasks.cancel_title": "Cancel {n} tasks?",
  "tasks.cancel_title.one": "Cancel this task?",
  "tasks.cancel_text": "Waiting tasks end at once; running ones are asked to stop.",
  "tasks.retry_done": "{n} tasks submitted again.",
  "tasks.retry_done.one": "One task submitted again.",
  "tasks.cancel_done": "{done} cancelled, {asked} asked to stop.",
  "tasks.skipped": "{n} left as they were.",
  "tasks.new": "{n} new",
  "tasks.new_capped": "{n}+ new",

  "breaker.open": "Failed too often in a row: it gets no work until the cool-down ends.",
  "breaker.half_open": "The cool-down has ended: one task at a time proves it well again.",

  "waiting.open": "could take it now",
  "waiting.more": "and {n} more nodes",
  "nodes.missing": "{n} not online",
  "nodes.all": "all of them",
  "nodes.none": "none has come up yet",

  "node.drain": "Drain",
  "node.drain_title": "Drain {name}?",
  "node.drain_text": "It finishes what it holds and takes nothing new until it is resumed.",
  "node.drained": "{name} takes no new tasks.",
  "node.resumed": "{name} takes tasks again.",
  "node.token_made": "This token is shown once. It enrols one node within {hours} hours.",

  "queue.pause": "Pause",
  "queue.pause_title": "Pause queue {name}?",
  "queue.pause_text": "Its tasks stay where they are and wait. What runs already goes on.",
  "queue.paused": "Queue {name} is paused.",
  "queue.resumed": "Queue {name} hands out tasks again.",
  "queue.eta_never": "grows",

  "submit.done": "Submitted task {id}.",
  "submit.done_many": "Submitted {n} tasks.",
  "submit.done_many.one": "Submitted one task.",
  "submit.error_item": "Item {place}: {field}: {message}",
  "submit.json_bad": "Not valid JSON: {message}",
  "submit.json_empty": "Write a task, or a list of tasks.",
  "submit.type_missing": "Name the type of the task.",
  "submit.time_bad": "Not a time.",
  "submit.both_times": "Give either a delay or a time, not both.",
  "submit.number_bad": "Not a number.",
  "submit.pair_bad": "Write name=value, with commas between.",
  "submit.no_node": "No node that is online runs this type. The task will wait for one.",
  "submit.nodes": "Runs on {nodes}.",
  "submit.button": "Submit",
  "submit.button_many": "Submit {n} tasks",
  "submit.button_many.one": "Submit one task",
  "submit.refused": "Nothing was submitted:",

  "chart.no_data": "Nothing in the last hour yet",
  "chart.no_depth": "At no minute's end did a task wait",
  "chart.other": "Cancelled, expired",
  "chart.time": "Time",
  "chart.table": "Show as table",
  "chart.chart": "Show as chart",

  "log.none": "No lines yet.",
  "log.follow": "Follow",
  "log.new": "{n} new lines",
  "log.new.one": "1 new line",
  "timeline.wait": "waited {span}",
  "timeline.sent": "on its way {span}",
  "timeline.run": "ran {span}",
  "announce.finished": "{done} tasks finished, {failed} failed.",
};

const plural = new Intl.PluralRules(typeof document === "undefined" ? "en" : document.documentElement.lang || "en");

/**
 * The text called `key`, with `{name}` replaced from `values`. Where there is a text for the plural form of `n` ("….one"),
 * it is that one.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function t(key, values = {}) {
  const form = typeof values.n === "number" ? EN[`${key}.${plural.select(values.n)}`] : undefined;
  const text = form ?? EN[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all));
}

/**
 * Whether there is a text called `key`.
 * @param {string} key
 */
export const has = (key) => key in EN;
