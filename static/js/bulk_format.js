// @ts-check
// How actions on all tasks that match look: the browser's half of dispatcher/dashboard/bulk_formats.py.

import { icon, VALUE_FORMATS, word } from "./format.js";
import { has, t } from "./strings.js";

/** @typedef {import("./format.js").Format} Format */

const YES = "1";
const NO = "";

/** @type {Format} */
const state = (job) => (job.state === "done" ? "succeeded" : job.state);

/** @type {Record<string, Format>} */
export const BULK_FORMATS = {
  bulk_state: state,
  bulk_word: (job, now) => (has(`bulk.${job.state}`) ? t(`bulk.${job.state}`) : word(job.state, now)),
  bulk_icon: (job, now) => icon(state(job, now), now),
  bulk_title: (job) => t(job.action === "retry" ? "bulk.retry" : "bulk.cancel"),
  bulk_query: (query) => query || t("bulk.all"),
  bulk_url: (id) => `/bulk/${id}/`,
  query_url: (query) => (query ? `/tasks/?q=${encodeURIComponent(query)}` : "/tasks/"),
  tag_tasks_url: (tag) => (tag ? `/tasks/?q=${encodeURIComponent(`tag:${tag}`)}` : ""),
  bulk_progress: (job, now) => {
    const n = VALUE_FORMATS.count(job.handled, now);
    return job.expected === null ? n : t("bulk.of", { n, all: VALUE_FORMATS.count(job.expected, now) });
  },
  bulk_pace: (job, now) =>
    job.per_second === null
      ? t("bulk.pace_free", { batch: job.batch_size })
      : t("bulk.pace", { batch: job.batch_size, rate: VALUE_FORMATS.rate(job.per_second, now) }),
  bulk_reason: (reason) => (has(`bulk.reason.${reason}`) ? t(`bulk.reason.${reason}`) : reason),
  not_running: (job) => (job.state === "running" ? NO : YES),
  not_paused: (job) => (job.state === "paused" ? NO : YES),
  has_ended: (job) => (job.finished_at === null ? NO : YES),
};
