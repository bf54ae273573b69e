// @ts-check
// The texts that scripts put on a page. Each language is one table in words/, and only that of the page is loaded: a
// page never shows another language first. A new language is one more file there and one more line here.

/** @type {Record<string, () => Promise<{default: Record<string, string>}>>} */
const TABLES = {
  en: () => import("./words/en.js"),
  "zh-hans": () => import("./words/zh_hans.js"),
};

/** The language of the page, as Intl wants it. */
export const language = (typeof document === "undefined" ? "" : document.documentElement.lang) || "en";

const { default: words } = await (TABLES[language.toLowerCase()] ?? TABLES.en)();
// What only one page says comes with it, from the server's own catalogue.
if (typeof document !== "undefined") Object.assign(words, JSON.parse(document.getElementById?.("page-words")?.textContent || "{}"));
const plural = new Intl.PluralRules(language);

/**
 * The text called `key`, with `{name}` replaced from `values`. Where there is a text for the plural form of `n` ("….one"),
 * it is that one.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function t(key, values = {}) {
  const form = typeof values.n === "number" ? words[`${key}.${plural.select(values.n)}`] : undefined;
  const text = form ?? words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all));
}

/**
 * Whether there is a text called `key`.
 * @param {string} key
 */
export const has = (key) => key in words;
