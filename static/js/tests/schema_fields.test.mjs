import assert from "node:assert/strict";
import { test } from "node:test";

import { formOf, rowsOf } from "../many_rows.js";
import { membersIn, planOf, read, shown } from "../schema_fields.js";
import { manyOf, python } from "../task_form.js";

const SCHEMA = {
  type: "object",
  required: ["scene", "frame"],
  properties: {
    scene: { type: "string", minLength: 2, description: "Where it lies." },
    frame: { type: "integer", minimum: 1, maximum: 9999 },
    scale: { anyOf: [{ type: "number", exclusiveMinimum: 0 }, { type: "null" }] },
    loud: { type: "boolean" },
    quality: { enum: ["low", 2] },
    sizes: { type: "array", items: { type: "integer" }, minItems: 1 },
    tags: { type: "array", items: { $ref: "#/$defs/Tag" } },
    out: { $ref: "#/$defs/Out" },
    any: {},
  },
  $defs: { Tag: { type: "string" }, Out: { type: "object", properties: { dir: { type: "string" } }, required: ["dir"] } },
};
const plans = Object.fromEntries(planOf(SCHEMA).map((plan) => [plan.name, plan]));

test("each member gets the field that fits it", () => {
  assert.deepEqual(Object.values(plans).map(({ kind }) => kind), ["text", "number", "number", "choice", "choice", "lines", "lines", "group", "json"]);
  assert.equal(plans.out.members[0].path, "payload.out.dir");
  assert.deepEqual([plans.scene.isRequired, plans.loud.isRequired], [true, false]);
  assert.deepEqual(plans.quality.choices, ['"low"', "2"]);
});

test("what has no members by name has no fields", () => {
  for (const schema of [{}, { type: "string" }, { type: "object" }, { properties: {} }]) assert.equal(planOf(schema), null);
});

test("references in a circle end as JSON", () => {
  const tree = { properties: { left: { $ref: "#" } }, type: "object" };
  let plan = planOf(tree)[0];
  while (plan.kind === "group") [plan] = plan.members;
  assert.equal(plan.kind, "json");
  assert.equal(planOf({ $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/a" } } }), null);
});

test("numbers keep every digit", () => {
  assert.equal(read(plans.any, "12345678901234567890.10").json, "12345678901234567890.10");
  const big = { ...plans.frame, schema: { type: "integer" } };
  assert.deepEqual(read(big, " 9007199254740993 "), { json: "9007199254740993", fault: undefined });
  assert.equal(shown(big, "9007199254740993"), "9007199254740993");
  assert.deepEqual([...membersIn('{"a": 9007199254740993, "b": [1.50, {"c": 2}]}')], [["a", "9007199254740993"], ["b", '[1.50,{"c":2}]']]);
});

test("what is wrong is named", () => {
  const faults = [
    [plans.scene, "", "form.required"], [plans.scene, "a", "form.min_length"], [plans.frame, "x", "form.number"],
    [plans.frame, "1.5", "form.whole"], [plans.frame, "0", "form.min"], [plans.frame, "10000", "form.max"],
    [plans.scale, "0", "form.more"], [plans.sizes, "1\na", "form.lines_number"], [plans.any, "{", "submit.json_bad"],
  ];
  for (const [plan, text, key] of faults) assert.equal(read(plan, text).fault?.key, key, text);
  assert.deepEqual(read(plans.loud, ""), { json: null });
});

test("texts and values go both ways, or not at all", () => {
  assert.equal(read(plans.tags, "a\n\n b ").json, '["a","b"]');
  assert.equal(shown(plans.tags, '["a", "b"]'), "a\nb");
  assert.equal(shown(plans.sizes, "[1, 22]"), "1\n22");
  assert.equal(shown(plans.loud, "true"), "true");
  for (const [plan, json] of [[plans.scene, "5"], [plans.scene, '"a\\nb"'], [plans.scene, '""'], [plans.frame, '"1"'],
    [plans.quality, '"mid"'], [plans.tags, '["a", 1]'], [plans.tags, "[]"], [plans.tags, '[" a"]']]) assert.equal(shown(plan, json), null, json);
});

test("one payload a line", () => {
  const { rows, bad } = rowsOf('{"a": 9007199254740993}\n\n{"a": }\n2', "jsonl");
  assert.deepEqual(rows, [{ line: 1, json: '{"a": 9007199254740993}' }, { line: 4, json: "2" }]);
  assert.deepEqual(bad.map(({ line, key }) => [line, key]), [[3, "submit.json_bad"]]);
});

test("CSV with quotes, kinds by the schema, and lines that are told apart", () => {
  const text = 'id,name,note\r\n9007199254740993,007,"a, ""b""\nc"\n1,x\n2,,true\n';
  const { rows, bad } = rowsOf(text, "csv", { properties: { name: { type: "string" } } });
  assert.deepEqual(rows, [
    { line: 2, json: '{"id":9007199254740993,"name":"007","note":"a, \\"b\\"\\nc"}' },
    { line: 5, json: '{"id":2,"note":true}' },
  ]);
  assert.deepEqual(bad, [{ line: 4, key: "many.cells", values: { n: 2, wanted: 3 } }]);
  assert.deepEqual(rowsOf('a\n1\n2"3\n4', "csv").bad.map(({ key, line }) => [key, line]), [["many.quotes", 3]]);
});

test("which of the two it is", () => {
  assert.deepEqual(['{"a":1}', "[1]\n[2]", "a,b\n1,2", '"a","b"\n1,2', "true"].map(formOf), ["jsonl", "jsonl", "csv", "csv", "jsonl"]);
});

test("many tasks are like the one of the form", () => {
  assert.equal(manyOf('{"type":"a","tags":["x"],"payload":null}', ["1", "2"]), '[{"type":"a","tags":["x"],"payload":1},{"type":"a","tags":["x"],"payload":2}]');
});

test("as Python, whatever is in it", () => {
  assert.match(python("http://x", '{"a":"b"}'), /body = '''\{"a":"b"\}'''/);
  assert.match(python("http://x", "{\"a\":\"'''\"}"), /body = "\{\\"a\\":\\"'''\\"\}"/);
});
