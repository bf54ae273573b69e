// Formats values as a page in another language and zone does, and prints the texts. Started by format.test.mjs.
const { language, zone, words, cases, now } = JSON.parse(process.argv[2]);
process.env.TZ = "UTC";
globalThis.document = { documentElement: { lang: language, dataset: { zone, icons: "/static/icons/icons.svg" } }, getElementById: () => ({ textContent: words }) };
const { FORMATS } = await import("../row_format.js");
await import("../waiting_format.js");
process.stdout.write(JSON.stringify(cases.map(([name, value]) => FORMATS[name](value, Date.parse(now)))));
process.exit(0);
