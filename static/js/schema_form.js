// @ts-check
// The fields of a payload on the page: made from a schema, filled from JSON text, read back as JSON text.

import { make } from "./dom.js";
import { membersIn, planOf, read, shown } from "./schema_fields.js";
import { t } from "./strings.js";

/** @import { Plan } from "./schema_fields.js" */
/** @typedef {{field: string, message: string}} Wrong */

/** Kinds of inputs that browsers help with, by the schema's format. */
const INPUTS = /** @type {Record<string, string>} */ ({ date: "date", email: "email", uri: "url" });

export class SchemaForm {
  #box;
  /** @type {Plan[] | null} */
  #plans = null;
  /** @type {Map<string, HTMLInputElement>} the inputs by their path */
  #inputs = new Map();

  /** @param {HTMLElement} box */
  constructor(box) {
    this.#box = box;
  }

  /** Make the fields of the schema; whether there are any. @param {any} schema */
  build(schema) {
    this.#plans = schema ? planOf(schema) : null;
    this.#inputs.clear();
    this.#box.replaceChildren(...(this.#plans ?? []).map((plan) => this.#field(plan)));
    return this.#plans !== null;
  }

  /** Fill the fields; false if they cannot hold all of it, and are left as they are. @param {string} json */
  fill(json) {
    const values = this.#texts(this.#plans ?? [], json.trim() || "{}");
    if (!values) return false;
    for (const [path, input] of this.#inputs) input.value = values.get(path) ?? "";
    return true;
  }

  /** The payload as JSON text, and what is wrong with it. @returns {{json: string, wrong: Wrong[]}} */
  read() {
    /** @type {Wrong[]} */
    const wrong = [];
    return { json: this.#object(this.#plans ?? [], wrong) ?? "{}", wrong };
  }

  /** @param {string} path as the API names it; that of a list's item is the list's @returns {HTMLElement | null} */
  inputOf(path) {
    for (let place = path; place; place = place.replace(/(?:\.[^.[]*|\[\d+\])$/, "")) {
      const input = this.#inputs.get(place);
      if (input) return input;
      if (!/[.[]/.test(place)) return null;
    }
    return null;
  }

  /** @param {Plan[]} plans @param {string} json @returns {Map<string, string> | null} texts by path */
  #texts(plans, json) {
    const members = membersIn(json);
    if (!members) return null;
    /** @type {Map<string, string>} */
    const texts = new Map();
    for (const [name, part] of members) {
      const plan = plans.find((one) => one.name === name);
      if (!plan) return null;
      const inner = plan.kind === "group" ? this.#texts(plan.members, part) : null;
      const text = plan.kind === "group" ? "" : shown(plan, part);
      if (text === null || (plan.kind === "group" && !inner)) return null;
      texts.set(plan.path, text);
      for (const [path, value] of inner ?? []) texts.set(path, value);
    }
    return texts;
  }

  /** The object of these fields; null if all are empty. @param {Plan[]} plans @param {Wrong[]} wrong @returns {string | null} */
  #object(plans, wrong) {
    const parts = [];
    for (const plan of plans) {
      const json = plan.kind === "group" ? this.#group(plan, wrong) : this.#value(plan, wrong);
      if (json !== null) parts.push(`${JSON.stringify(plan.name)}:${json}`);
    }
    return parts.length ? `{${parts.join(",")}}` : null;
  }

  /** @param {Plan} plan @param {Wrong[]} wrong @returns {string | null} */
  #group(plan, wrong) {
    /** @type {Wrong[]} */
    const inner = [];
    const json = this.#object(plan.members, inner);
    // Nothing in a group that may be left out: it is left out, whatever it would have to hold.
    if (json === null && !plan.isRequired) return null;
    wrong.push(...inner);
    return json ?? "{}";
  }

  /** @param {Plan} plan @param {Wrong[]} wrong */
  #value(plan, wrong) {
    const { json, fault } = read(plan, this.#inputs.get(plan.path)?.value ?? "");
    if (fault) wrong.push({ field: plan.path, message: t(fault.key, fault.values) });
    return json;
  }

  /** @param {Plan} plan @returns {HTMLElement} */
  #field(plan) {
    if (plan.kind === "group") {
      const legend = make("legend", {}, ...this.#label(plan));
      const grid = make("div", { class: "form-grid" }, ...plan.members.map((member) => this.#field(member)));
      return make("fieldset", { class: "schema-group span-all" }, legend, ...this.#hint(plan, ""), grid);
    }
    const id = `p-${plan.path}`;
    const input = this.#input(plan);
    input.id = id;
    input.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
    if (plan.isRequired) input.setAttribute("aria-required", "true");
    this.#inputs.set(plan.path, /** @type {HTMLInputElement} */ (input));
    const isWide = plan.kind === "json" || plan.kind === "lines";
    return make(
      "div",
      { class: isWide ? "field span-all" : "field span-3" },
      make("label", { for: id }, ...this.#label(plan)),
      input,
      ...this.#hint(plan, `${id}-hint`),
      make("p", { class: "error", id: `${id}-error` }),
    );
  }

  /** @param {Plan} plan */
  #label({ name, title, isRequired }) {
    const star = isRequired ? [make("span", { class: "required", "aria-hidden": "true" }, " *")] : [];
    return [make("span", {}, title || name), ...star];
  }

  /** @param {Plan} plan @param {string} id */
  #hint({ description, schema, kind }, id) {
    const parts = [description];
    if (schema.minimum !== undefined && schema.maximum !== undefined) parts.push(`${schema.minimum}–${schema.maximum}`);
    if (schema.format && !INPUTS[schema.format]) parts.push(schema.format);
    if (kind === "lines") parts.push(t("form.one_a_line"));
    if (kind === "json") parts.push("JSON");
    const text = parts.filter(Boolean).join(" · ");
    return text || id ? [make("p", { class: "hint", ...(id && { id }) }, text)] : [];
  }

  /** @param {Plan} plan */
  #input({ kind, choices, schema, isRequired }) {
    const usual = schema.default === undefined || schema.default === null ? "" : schema.default;
    const placeholder = typeof usual === "object" ? JSON.stringify(usual) : String(usual);
    if (kind === "choice") {
      const none = placeholder ? t("form.default", { value: placeholder }) : isRequired ? "" : t("form.left_out");
      const options = choices.map((choice) => make("option", { value: choice }, wordOf(choice)));
      return make("select", { class: "input" }, make("option", { value: "" }, none), ...options);
    }
    if (kind === "lines" || kind === "json") {
      return make("textarea", { class: "textarea", rows: kind === "json" ? "4" : "3", spellcheck: "false", placeholder });
    }
    const type = kind === "text" ? (INPUTS[schema.format] ?? "text") : "text";
    return make("input", {
      class: "input", type, placeholder, spellcheck: "false", autocomplete: "off",
      ...(kind === "number" && { inputmode: schema.type === "integer" && !(schema.minimum < 0) ? "numeric" : "decimal" }),
    });
  }
}

/** @param {string} json */
function wordOf(json) {
  if (json === "true") return t("form.yes");
  if (json === "false") return t("form.no");
  return json.startsWith('"') ? JSON.parse(json) : json;
}
