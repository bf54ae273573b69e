// Names times at a chart's axis as a page in another zone does, and prints them. Started by chart_axis.test.mjs.
const { zone, marks, steps } = JSON.parse(process.argv[2]);
process.env.TZ = "UTC";
globalThis.document = { documentElement: { lang: "en", dataset: { zone } } };
const { stepName, timeMarks } = await import("../chart_axis.js");
const at = (text) => Date.parse(text) / 1000;
process.stdout.write(JSON.stringify({
  marks: timeMarks(marks.map(at)),
  steps: steps.map(([start, step, length]) => stepName(at(start), step, length)),
}));
process.exit(0);
