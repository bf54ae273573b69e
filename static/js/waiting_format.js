// @ts-check
// Why a task waits, in the reader's language, for the page that says so: importing this makes its formats known. The
// server's half is dispatcher/dashboard/waiting_formats.py, whose words the page brings along (strings.js).

import { FORMATS } from "./row_format.js";
import { has, t } from "./strings.js";

/** @import { Cause, Obstacle } from "./types.d.ts" */

/** @type {Record<string, string>} */
const TONES = { operator: "warn", impossible: "bad" };

/** @param {Obstacle} cause @param {boolean} isOne with what is not the same for others */
function words({ code, facts, text }, isOne) {
  const key = `why.${code}`;
  // Without a reason for the pause, or a known end, there is no more to say.
  const more = isOne && facts.why !== "" && facts.seconds !== 0 && has(`${key}.more`) ? ".more" : "";
  return has(key) ? t(key + more, { ...facts, span: FORMATS.duration_seconds(facts.seconds, 0) }) : text;
}

/** @param {Cause[]} causes */
function clause(causes) {
  const n = causes.reduce((sum, { nodes }) => sum + nodes, 0);
  if (!n) return words(causes[0], true);
  if (n === 1) return t("why.one", { node: causes[0].facts.node, what: words(causes[0], true) });
  const counted = causes.map((cause) => t("why.count", { count: cause.nodes, what: words(cause, false) }));
  return t("why.none", { n, list: counted.join(t("why.comma")) });
}

/** @type {Record<string, import("./format.js").Format>} */
const WAITING_FORMATS = {
  not_blocked: (row) => (row?.waiting && row.waiting.kind !== "turn" ? "" : "1"),
  waiting_tone: (kind) => TONES[kind] ?? "",
  waiting_words: (value) => {
    if (!value || value.kind === "turn") return "";
    const said = t(`why.${value.kind}`, { clause: clause(value.because) });
    return value.besides.length ? t("why.besides", { said, clause: clause(value.besides) }) : said;
  },
  obstacles: (row) =>
    (row?.reasons ?? []).map((/** @type {Obstacle} */ reason) => words(reason, true)).join(t("why.comma")) || t("why.open"),
};
Object.assign(FORMATS, WAITING_FORMATS);
