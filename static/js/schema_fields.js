// @ts-check
// From a JSON Schema to fields, and between fields' texts and JSON text. Pure. Values stay the text that was typed, so
// that no digit of a number is lost.

import { tokens } from "./json_text.js";

/**
 * @typedef {"text" | "number" | "choice" | "lines" | "group" | "json"} Kind
 *
 * @typedef {object} Plan
 * @property {string} name
 * @property {string} path as the API calls the field, such as "payload.size.width"
 * @property {Kind} kind
 * @property {boolean} isRequired
 * @property {string} title
 * @property {string} description
 * @property {any} schema
 * @property {Plan[]} members of a group
 * @property {string[]} choices JSON texts
 * @property {"text" | "number"} item what each line of a list is
 */

/** How deep objects become groups of fields; deeper ones are JSON. */
const MAX_DEPTH = 3;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const WHOLE = /^-?(?:0|[1-9]\d*)$/;

/**
 * What a part of the schema stands for: references followed, the one form beside null taken for both.
 * @param {any} root
 * @param {any} schema
 */
export function resolved(root, schema) {
  let found = schema;
  for (let step = 0; step < 5 && found && typeof found === "object"; step += 1) {
    const { $ref, anyOf, ...rest } = found;
    const others = Array.isArray(anyOf) ? anyOf.filter((form) => form?.type !== "null") : [];
    if (typeof $ref === "string" && $ref.startsWith("#/")) found = { ...at(root, $ref), ...rest };
    else if (others.length === 1) found = { ...others[0], ...rest };
    else break;
  }
  return found && typeof found === "object" ? found : {};
}

/** @param {any} root @param {string} ref */
function at(root, ref) {
  const steps = ref.slice(2).split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  return steps.reduce((part, step) => (part && Object.hasOwn(part, step) ? part[step] : undefined), root);
}

/**
 * The fields of a payload; null if it is no object with known members.
 * @param {any} schema
 * @returns {Plan[] | null}
 */
export function planOf(schema) {
  const root = resolved(schema, schema);
  if (!root.properties || typeof root.properties !== "object" || !Object.keys(root.properties).length) return null;
  return membersOf(schema, root, "payload", MAX_DEPTH);
}

/** @param {any} root @param {any} schema @param {string} path @param {number} depth @returns {Plan[]} */
function membersOf(root, schema, path, depth) {
  const required = Array.isArray(schema.required) ? schema.required : [];
  return Object.entries(schema.properties).map(([name, given]) =>
    planFor(root, name, resolved(root, given), `${path}.${name}`, required.includes(name), depth - 1),
  );
}

/**
 * @param {any} root @param {string} name @param {any} schema @param {string} path @param {boolean} isRequired
 * @param {number} depth
 * @returns {Plan}
 */
function planFor(root, name, schema, path, isRequired, depth) {
  /** @type {Plan} */
  const plan = {
    name, path, isRequired, schema, kind: "json", members: [], choices: [], item: "text",
    title: typeof schema.title === "string" ? schema.title : "",
    description: typeof schema.description === "string" ? schema.description : "",
  };
  const kinds = (Array.isArray(schema.type) ? schema.type : [schema.type]).filter((/** @type {any} */ kind) => kind !== "null");
  const kind = kinds.length === 1 ? kinds[0] : "";
  if (Array.isArray(schema.enum) && schema.enum.length) {
    return { ...plan, kind: "choice", choices: schema.enum.map((/** @type {any} */ value) => JSON.stringify(value)) };
  }
  if (kind === "boolean") return { ...plan, kind: "choice", choices: ["true", "false"] };
  if (kind === "string") return { ...plan, kind: "text" };
  if (kind === "integer" || kind === "number") return { ...plan, kind: "number" };
  if (kind === "array") {
    const item = resolved(root, schema.items).type;
    if (item === "string") return { ...plan, kind: "lines" };
    if (item === "integer" || item === "number") return { ...plan, kind: "lines", item: "number" };
  }
  if (kind === "object" && depth > 0 && schema.properties && Object.keys(schema.properties).length) {
    return { ...plan, kind: "group", members: membersOf(root, schema, path, depth) };
  }
  return plan;
}

/** @typedef {{key: string, values?: Record<string, any>}} Fault key: of strings.js */

/**
 * The JSON text of what stands in a field; null: it is left out.
 * @param {Plan} plan
 * @param {string} text
 * @returns {{json: string | null, fault?: Fault}}
 */
export function read(plan, text) {
  const typed = plan.kind === "text" ? text : text.trim();
  if (typed === "") return plan.isRequired ? { json: null, fault: { key: "form.required" } } : { json: null };
  if (plan.kind === "choice") return { json: typed };
  if (plan.kind === "json") {
    try {
      JSON.parse(typed);
      return { json: typed };
    } catch (problem) {
      return { json: null, fault: { key: "submit.json_bad", values: { message: String(problem) } } };
    }
  }
  if (plan.kind === "lines") return readLines(plan, typed);
  const fault = plan.kind === "number" ? numberFault(plan.schema, typed) : textFault(plan.schema, typed);
  // What is no number must not reach the JSON.
  if (plan.kind === "number") return { json: fault ? null : typed, fault };
  return { json: JSON.stringify(typed), fault };
}

/** @param {Plan} plan @param {string} text @returns {{json: string | null, fault?: Fault}} */
function readLines(plan, text) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  if (plan.item === "number" && !lines.every((line) => NUMBER.test(line))) return { json: null, fault: { key: "form.lines_number" } };
  const { minItems = 0, maxItems = Infinity } = plan.schema;
  const fault = lines.length < minItems ? { key: "form.min_items", values: { n: minItems } }
    : lines.length > maxItems ? { key: "form.max_items", values: { n: maxItems } } : undefined;
  return { json: `[${lines.map((line) => (plan.item === "number" ? line : JSON.stringify(line))).join(",")}]`, fault };
}

/** @param {any} schema @param {string} text @returns {Fault | undefined} */
function numberFault(schema, text) {
  if (!NUMBER.test(text)) return { key: "form.number" };
  if (schema.type === "integer" && !WHOLE.test(text)) return { key: "form.whole" };
  const number = Number(text);
  if (number < schema.minimum) return { key: "form.min", values: { n: schema.minimum } };
  if (number > schema.maximum) return { key: "form.max", values: { n: schema.maximum } };
  if (number <= schema.exclusiveMinimum) return { key: "form.more", values: { n: schema.exclusiveMinimum } };
  if (number >= schema.exclusiveMaximum) return { key: "form.less", values: { n: schema.exclusiveMaximum } };
  return undefined;
}

/** @param {any} schema @param {string} text @returns {Fault | undefined} */
function textFault(schema, text) {
  // As the server counts: in characters, not in halves of them.
  const length = [...text].length;
  if (length < schema.minLength) return { key: "form.min_length", values: { n: schema.minLength } };
  if (length > schema.maxLength) return { key: "form.max_length", values: { n: schema.maxLength } };
  return undefined;
}

/**
 * What a field shows for JSON text; null if it cannot.
 * @param {Plan} plan
 * @param {string} json
 * @returns {string | null}
 */
export function shown(plan, json) {
  if (plan.kind === "json") return json;
  const value = JSON.parse(json);
  if (plan.kind === "choice") return plan.choices.includes(JSON.stringify(value)) ? JSON.stringify(value) : null;
  if (plan.kind === "text") return typeof value === "string" && !/[\n\r]/.test(value) && value !== "" ? value : null;
  if (plan.kind === "number") return NUMBER.test(json) ? json : null;
  const parts = elementsOf(json);
  if (!Array.isArray(value) || !parts || !value.length) return null;
  if (plan.item === "number") return parts.every((part) => NUMBER.test(part)) ? parts.join("\n") : null;
  const isPlain = value.every((item) => typeof item === "string" && item.trim() === item && item && !/[\n\r]/.test(item));
  return isPlain ? value.join("\n") : null;
}

/**
 * The members of a JSON object, each as the JSON text that it is; null for anything else.
 * @param {string} json
 * @returns {Map<string, string> | null}
 */
export function membersIn(json) {
  const all = tokens(json);
  if (!all || all[0] !== "{") return null;
  /** @type {Map<string, string>} */
  const found = new Map();
  for (const piece of split(all.slice(1, -1))) found.set(JSON.parse(piece[0]), piece.slice(2).join(""));
  return found;
}

/** The items of a JSON array, likewise. @param {string} json */
function elementsOf(json) {
  const all = tokens(json);
  return all && all[0] === "[" ? split(all.slice(1, -1)).map((piece) => piece.join("")) : null;
}

/** Tokens by the commas of the outermost level. @param {string[]} all */
function split(all) {
  /** @type {string[][]} */
  const pieces = [];
  let depth = 0;
  let isNew = true;
  for (const token of all) {
    if (token === "," && depth === 0) {
      isNew = true;
      continue;
    }
    if (isNew) pieces.push([]);
    isNew = false;
    pieces[pieces.length - 1].push(token);
    if (token === "{" || token === "[") depth += 1;
    if (token === "}" || token === "]") depth -= 1;
  }
  return pieces;
}
