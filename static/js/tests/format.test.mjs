// Both halves of the formats are held to format_cases.json: this one, and tests/dashboard/test_formats.py.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

process.env.TZ = "UTC";
const { now, cases, languages, page_words: words } = JSON.parse(readFileSync(new URL("format_cases.json", import.meta.url), "utf8"));
Object.assign((await import("../words/en.js")).default, words.en);
const { FORMATS } = await import("../row_format.js");
await import("../waiting_format.js");

for (const [name, value, expected] of cases) {
  test(`${name} of ${JSON.stringify(value)}`, () => assert.equal(FORMATS[name](value, Date.parse(now)), expected));
}

// The other languages and zones each in a process of its own: a page is in one of them.
for (const [language, { zone, cases: some }] of Object.entries(languages)) {
  test(`in ${language}, ${zone}`, () => {
    const asked = JSON.stringify({ language, zone, words: JSON.stringify(words[language.toLowerCase()]), cases: some.map(([name, value]) => [name, value]), now });
    const done = spawnSync(process.execPath, [fileURLToPath(new URL("format_in.mjs", import.meta.url)), asked], { encoding: "utf8" });
    assert.equal(done.status, 0, done.stderr);
    assert.deepEqual(JSON.parse(done.stdout), some.map(([, , expected]) => expected));
  });
}

test("Chinese says it as Intl does where Intl has words for it", () => {
  const expected = (name) => languages["zh-Hans"].cases.filter(([one]) => one === name).map(([, value, text]) => [value, text]);
  const relative = new Intl.RelativeTimeFormat("zh-Hans", { style: "short" });
  assert.equal(relative.format(-3, "minute"), expected("ago")[2][1]);
  assert.equal(relative.format(-5, "day"), expected("ago")[4][1]);
  assert.equal(relative.format(40, "second"), expected("due")[0][1]);
  const compact = new Intl.NumberFormat("zh-Hans", { notation: "compact", maximumFractionDigits: 1, useGrouping: "always" });
  for (const [value, text] of expected("compact")) assert.equal(compact.format(value), text);
});

test("every format has a case", () => {
  const tested = new Set(cases.map(([name]) => name));
  const trivial = new Set(["breaker_title", "task_icon", "node_icon", "queue_icon"]);
  assert.deepEqual(Object.keys(FORMATS).filter((name) => !tested.has(name) && !trivial.has(name)), []);
});
