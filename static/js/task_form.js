// @ts-check
// What a filled-in form means as a task. Pure; the payload stays the text that was typed, so that no digit is lost.

import { fromLocal } from "./zone.js";

/** @typedef {Record<string, string>} Fields the fields' texts by name */
/** @typedef {{field: string, key: string, values?: Record<string, string>}} Wrong key: of strings.js */

const NUMBERS = ["priority", "delay_seconds", "timeout_seconds", "max_attempts", "backoff_seconds", "backoff_cap_seconds"];
const TIMES = ["run_at", "deadline"];

/**
 * The words of a list with commas between.
 * @param {string} text
 */
export const words = (text) => text.split(",").map((word) => word.trim()).filter(Boolean);

/**
 * What is wrong with JSON text; "" if nothing.
 * @param {string} text
 */
export function jsonError(text) {
  try {
    JSON.parse(text);
    return "";
  } catch (problem) {
    return problem instanceof Error ? problem.message : String(problem);
  }
}

/**
 * "gpu=yes, zone=eu" as an object; null if it cannot be read.
 * @param {string} text
 * @returns {Record<string, string> | null}
 */
export function pairs(text) {
  /** @type {[string, string][]} */
  const found = [];
  for (const word of words(text)) {
    const at = word.indexOf("=");
    if (at < 1) return null;
    found.push([word.slice(0, at).trim(), word.slice(at + 1).trim()]);
  }
  return Object.fromEntries(found);
}

/**
 * The JSON text of a task, and what is wrong with the fields.
 * @param {Fields} fields
 * @returns {{body: string, wrong: Wrong[]}}
 */
export function taskOf(fields) {
  /** @type {Record<string, unknown>} */
  const task = { type: fields.type.trim() };
  /** @type {Wrong[]} */
  const wrong = [];
  if (!task.type) wrong.push({ field: "type", key: "submit.type_missing" });
  if (fields.queue.trim()) task.queue = fields.queue.trim();
  readNumbers(fields, task, wrong);
  for (const field of TIMES) {
    if (!fields[field]) continue;
    const at = fromLocal(fields[field]);
    if (Number.isNaN(at)) wrong.push({ field, key: "submit.time_bad" });
    else task[field] = new Date(at).toISOString();
  }
  if (task.run_at && task.delay_seconds !== undefined) wrong.push({ field: "run_at", key: "submit.both_times" });
  if (fields.clone_of) task.clone_of = fields.clone_of;
  if (fields.affinity_key) task.affinity_key = fields.affinity_key;
  if (words(fields.tags).length) task.tags = words(fields.tags);
  const labels = pairs(fields.labels);
  if (!labels) wrong.push({ field: "labels", key: "submit.pair_bad" });
  else if (Object.keys(labels).length) task.labels = labels;
  const payload = fields.payload.trim() || "null";
  const message = jsonError(payload);
  if (message) wrong.push({ field: "payload", key: "submit.json_bad", values: { message } });
  return { body: `${JSON.stringify(task).slice(0, -1)},"payload":${payload}}`, wrong };
}

/**
 * @param {Fields} fields
 * @param {Record<string, unknown>} task
 * @param {Wrong[]} wrong
 */
function readNumbers(fields, task, wrong) {
  for (const field of NUMBERS) {
    const text = fields[field]?.trim() ?? "";
    if (!text) continue;
    const number = Number(text);
    if (!Number.isFinite(number)) wrong.push({ field, key: "submit.number_bad" });
    else if (!(field === "priority" && number === 0)) task[field] = number;
  }
}

/**
 * How many tasks JSON text holds, as the API reads it; 1 for a single one.
 * @param {string} text valid JSON
 */
export function taskCount(text) {
  const value = JSON.parse(text);
  const list = Array.isArray(value) ? value : value?.tasks;
  return Array.isArray(list) ? list.length : 1;
}

/**
 * A payload to begin with, from a JSON Schema: defaults, examples, or an empty value of the right kind.
 * @typedef {{default?: unknown, examples?: unknown[], enum?: unknown[], type?: string | string[], minimum?: number,
 *   properties?: Record<string, Schema>}} Schema
 * @param {Schema | null | undefined} schema
 * @param {number} [depth]
 * @returns {unknown}
 */
export function skeleton(schema, depth = 0) {
  if (!schema || typeof schema !== "object" || depth > 4) return null;
  if ("default" in schema) return schema.default;
  if (Array.isArray(schema.examples) && schema.examples.length) return schema.examples[0];
  if (Array.isArray(schema.enum) && schema.enum.length) return schema.enum[0];
  const kind = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (kind === "object" || schema.properties) {
    const made = Object.entries(schema.properties ?? {}).map(([name, part]) => [name, skeleton(part, depth + 1)]);
    return Object.fromEntries(made);
  }
  return { string: "", integer: schema.minimum ?? 0, number: schema.minimum ?? 0, boolean: false, array: [] }[
    /** @type {string} */ (kind)
  ] ?? null;
}

/**
 * The command that submits `body` from a shell.
 * @param {string} origin
 * @param {string} body
 */
export function curl(origin, body) {
  const quoted = body.replaceAll("'", "'\\''");
  return [
    `curl -X POST ${origin}/api/v1/tasks`,
    `  -H "Authorization: Bearer $TASKDIST_TOKEN"`,
    `  -H "Content-Type: application/json"`,
    `  -d '${quoted}'`,
  ].join(" \\\n");
}

/**
 * The program that submits `body`.
 * @param {string} origin
 * @param {string} body
 */
export function python(origin, body) {
  const text = body.includes("\'\'\'") || body.includes("\\") ? JSON.stringify(body) : `'''${body}'''`;
  return [
    "import os",
    "",
    "import requests",
    "",
    `body = ${text}`,
    "answer = requests.post(",
    `    "${origin}/api/v1/tasks",`,
    "    data=body.encode(),",
    "    headers={",
    `        "Authorization": "Bearer " + os.environ["TASKDIST_TOKEN"],`,
    `        "Content-Type": "application/json",`,
    "    },",
    ")",
    "answer.raise_for_status()",
    "print(answer.json())",
  ].join("\n");
}

/**
 * Tasks like the one of the form, each with another payload.
 * @param {string} body the JSON text of a task, without a payload of its own
 * @param {string[]} payloads JSON texts
 */
export function manyOf(body, payloads) {
  const head = body.slice(0, body.lastIndexOf(',"payload":'));
  return `[${payloads.map((payload) => `${head},"payload":${payload}}`).join(",")}]`;
}
