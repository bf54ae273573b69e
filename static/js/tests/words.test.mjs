// Every language says the same things: the keys of English with its placeholders, and plural forms of its own.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";

const FOLDER = new URL("../words/", import.meta.url);
const FORMS = new Set(["zero", "one", "two", "few", "many", "other"]);
const tables = {};
for (const name of readdirSync(FOLDER)) tables[name.replace(".js", "").replace("_", "-")] = (await import(new URL(name, FOLDER))).default;

/** The plural form that a key is for: "one" of "log.new.one", none of "chart.other". */
const formOf = (key) => (key.split(".").length > 2 && FORMS.has(key.split(".").at(-1)) ? key.split(".").at(-1) : null);
const baseOf = (key) => (formOf(key) ? key.slice(0, key.lastIndexOf(".")) : key);
const places = (text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
const keys = (table) => Object.keys(table).filter((key) => !formOf(key)).sort();

test("there are English and simplified Chinese", () => assert.deepEqual(Object.keys(tables).sort(), ["en", "zh-hans"]));

for (const [language, table] of Object.entries(tables)) {
  test(`${language} has every key of English, in its order`, () => {
    assert.deepEqual(keys(table), keys(tables.en));
    const known = Object.keys(table).filter((key) => !formOf(key));
    assert.deepEqual(known, Object.keys(tables.en).filter((key) => !formOf(key)));
  });

  test(`${language} fills in what English fills in`, () => {
    const differ = keys(table).filter((key) => String(places(table[key])) !== String(places(tables.en[key] ?? "")));
    assert.deepEqual(differ, []);
  });

  test(`${language} says something everywhere, with no more plural forms than the language has`, () => {
    const forms = new Set(new Intl.PluralRules(language).resolvedOptions().pluralCategories);
    const wrong = Object.keys(table).filter((key) => !table[key].trim() || (formOf(key) && !(forms.has(formOf(key)) && baseOf(key) in table)));
    assert.deepEqual(wrong, []);
  });
}

test("nothing is left in English", () => {
  const same = keys(tables.en).filter((key) => tables.en[key] === tables["zh-hans"][key] && /[a-z]{3}/.test(tables.en[key].replace(/\{\w+\}/g, "")));
  assert.deepEqual(same, []);
});

test("English counts", async () => {
  const { t } = await import("../strings.js");
  assert.equal(t("log.new", { n: 1 }), "1 new line");
  assert.equal(t("log.new", { n: 2 }), "2 new lines");
  assert.equal(t("no.such.key"), "no.such.key");
});
