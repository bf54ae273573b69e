// @ts-check
// Which entries of the palette belong to what is typed, best first. Pure.

/**
 * @typedef {object} Entry
 * @property {string} text
 * @property {string} [kind] a word beside it: node, queue, …
 * @property {string} [keys] the shortcut that does the same
 */

export const MAX_SHOWN = 12;

/**
 * How well a text fits what is typed; 0: not at all. Its beginning fits best, then the beginning of a word, then any part;
 * of several words each has to fit.
 * @param {string} text
 * @param {string} query
 */
export function fit(text, query) {
  const within = text.toLowerCase();
  let sum = 0;
  for (const word of query.toLowerCase().split(/\s+/).filter(Boolean)) {
    const at = within.indexOf(word);
    if (at < 0) return 0;
    const isWord = at === 0 || /[\s._:/-]/.test(within[at - 1]);
    sum += at === 0 ? 4 : isWord ? 3 : 1;
    if (within === word) sum += 4;
  }
  return sum;
}

/**
 * The entries to show, at most MAX_SHOWN; those that fit alike stay in their order.
 * @template {Entry} E
 * @param {E[]} entries
 * @param {string} query
 * @returns {E[]}
 */
export function matching(entries, query) {
  const text = query.trim();
  if (!text) return entries.slice(0, MAX_SHOWN);
  return entries
    .map((entry) => ({ entry, score: Math.max(fit(entry.text, text), fit(`${entry.kind ?? ""} ${entry.text}`, text) / 2) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, MAX_SHOWN)
    .map(({ entry }) => entry);
}

/** The task id that is typed, with or without a "#"; "" if it is none. @param {string} query */
export const taskId = (query) => /^#?([1-9]\d{0,18})$/.exec(query.trim())?.[1] ?? "";
