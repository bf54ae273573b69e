// @ts-check
// The payload on the page of new tasks: fields by the schema of the type, or JSON. The JSON field always has what is sent.

import { byId, make } from "./dom.js";
import { pretty } from "./json_text.js";
import { keepLast, keepTemplate, lastOf, templatesOf } from "./payload_memory.js";
import { SchemaForm } from "./schema_form.js";
import { t } from "./strings.js";
import { jsonError, skeleton } from "./task_form.js";
import { toast } from "./toast.js";


export class PayloadPanel {
  #area = /** @type {HTMLTextAreaElement} */ (byId("s-payload"));
  #box = byId("payload-form");
  #form = new SchemaForm(this.#box);
  #toggle = byId("payload-as-json");
  #list = /** @type {HTMLSelectElement} */ (byId("s-template"));
  #name = "";
  #hasFields = false;
  #isJson = true;
  #isTouched;

  constructor() {
    this.#isTouched = this.#area.value !== "";
    this.#area.value = pretty(this.#area.value);
    this.#area.addEventListener("input", () => (this.#isTouched = this.#area.value !== ""));
    this.#box.addEventListener("input", () => {
      this.#isTouched = true;
      this.#write();
    });
    this.#toggle.addEventListener("click", () => (this.#isJson ? this.#toFields() : this.#showJson(true)));
    byId("use-last").addEventListener("click", () => this.#take(lastOf(this.#name)));
    this.#list.addEventListener("change", () => this.#take(templatesOf(this.#name)[this.#list.value]));
    byId("save-template").addEventListener("click", () => this.#save());
    byId("drop-template").addEventListener("click", () => {
      keepTemplate(this.#name, this.#list.value);
      this.#showMemory();
    });
  }

  /** Show the fields of another type. @param {string} name @param {any} schema */
  setType(name, schema) {
    this.#name = name;
    this.#hasFields = this.#form.build(schema);
    if (!this.#isTouched && name) this.#area.value = pretty(lastOf(name) ?? this.#start(schema));
    this.#showMemory();
    this.#showJson(true);
    if (this.#hasFields) this.#toFields();
    else byId("payload-kept").hidden = true;
  }

  /** Bring the JSON field up to date; what is wrong with the fields. */
  check() {
    return this.#isJson ? [] : this.#write();
  }

  /** The input that the API's name of a field means; the JSON field for whatever has none of its own. @param {string} path */
  inputOf(path) {
    return (this.#isJson ? null : this.#form.inputOf(path)) ?? this.#shownArea();
  }

  /** Keep what was submitted, for the next time. */
  remember() {
    keepLast(this.#name, this.#area.value);
    this.#showMemory();
  }

  #shownArea() {
    this.#showJson(true);
    return this.#area;
  }

  /** @param {any} schema */
  #start(schema) {
    if (!schema) return "";
    // Fields show what is usual by themselves.
    return this.#hasFields ? "" : JSON.stringify(skeleton(schema), null, 2);
  }

  #write() {
    const { json, wrong } = this.#form.read();
    this.#area.value = pretty(json);
    return wrong;
  }

  #toFields() {
    const text = this.#area.value.trim();
    const fits = !jsonError(text || "{}") && this.#form.fill(text === "null" ? "" : text);
    byId("payload-kept").hidden = fits;
    if (fits) this.#showJson(false);
  }

  /** @param {boolean} isJson */
  #showJson(isJson) {
    this.#isJson = isJson;
    byId("payload-tools").hidden = !this.#name;
    byId("payload-json").hidden = !isJson;
    this.#box.hidden = isJson;
    this.#toggle.hidden = !this.#hasFields;
    this.#toggle.setAttribute("aria-pressed", String(isJson));
  }

  #showMemory() {
    const templates = Object.keys(templatesOf(this.#name)).sort();
    byId("use-last").hidden = lastOf(this.#name) === null;
    this.#list.hidden = byId("drop-template").hidden = !templates.length;
    this.#list.replaceChildren(
      make("option", { value: "" }, t("submit.template_choose")),
      ...templates.map((name) => make("option", { value: name }, name)),
    );
  }

  /** @param {string | null | undefined} json */
  #take(json) {
    if (json === null || json === undefined) return;
    this.#area.value = pretty(json);
    this.#isTouched = true;
    if (this.#hasFields) this.#toFields();
  }

  #save() {
    const field = /** @type {HTMLInputElement} */ (byId("s-template-name"));
    const name = field.value.trim();
    if (!name) {
      field.focus();
      return;
    }
    if (!this.#isJson) this.#write();
    keepTemplate(this.#name, name, this.#area.value);
    field.value = "";
    this.#showMemory();
    this.#list.value = name;
    toast(t("submit.template_kept", { name }));
  }
}
