// @ts-check
// Payload and result on the page of a task: as a tree, which the server makes of them, and as text. JSON stays text.

import { copy } from "./copying.js";
import { byId, make } from "./dom.js";
import { partAt, pretty, showJson } from "./json_text.js";
import { t } from "./strings.js";

/** @param {string} url @returns {Promise<Element | null>} the tree of a page of its own */
async function fetchTree(url) {
  const answer = await fetch(url, { headers: { Accept: "text/html" } });
  return answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#tree > .j-part") : null;
}

export class ValueView {
  #name;
  #tree;
  /** @type {HTMLElement | null} the part that has the buttons */
  #chosen = null;
  #acts = make("span", { class: "j-acts" });
  /** As it was sent. */
  text;

  /** @param {string} name "payload" or "result" */
  constructor(name) {
    this.#name = name;
    this.#tree = byId(`${name}-tree`);
    this.text = byId(`${name}-code`).textContent ?? "";
    showJson(byId(`${name}-code`), this.text);
    this.#addButton("value.copy_path", () => copy(this.#part().path));
    this.#addButton("value.copy", () => copy(this.#value()));
    this.#tree.addEventListener("focusin", (event) => this.#choose(event.target));
    this.#tree.addEventListener("pointerover", (event) => {
      if (!this.#tree.contains(document.activeElement)) this.#choose(event.target);
    });
    this.#tree.addEventListener("click", (event) => this.#click(event));
    this.#tree.addEventListener("keydown", (event) => this.#move(event));
  }

  /** Show another value; `null` for none. @param {string | null} text */
  async show(text) {
    this.text = text ?? "";
    byId(`${this.#name}-viewer`).hidden = text === null;
    showJson(byId(`${this.#name}-code`), this.text);
    const tree = text === null ? null : await fetchTree(this.#tree.dataset.url ?? "");
    if (this.text !== (text ?? "")) return;
    this.#tree.replaceChildren(...(tree ? [tree] : []));
    const choice = byId(`${this.#name}-viewer`).querySelector("fieldset");
    if (choice) choice.hidden = !tree;
    const wanted = choice?.querySelector(`[value=${tree ? "tree" : "raw"}]`);
    if (wanted instanceof HTMLInputElement) wanted.checked = true;
  }

  /** @param {string} key @param {() => void} act */
  #addButton(key, act) {
    const button = make("button", { type: "button", class: "button small" }, t(key));
    button.addEventListener("click", (event) => {
      // It stands within what folds.
      event.preventDefault();
      act();
    });
    this.#acts.append(button);
  }

  #part() {
    const places = this.#chosen?.dataset.places;
    return partAt(this.text, places ? places.split(".").map(Number) : []);
  }

  /** A text without its quotes, anything else as it is written. */
  #value() {
    const { value } = this.#part();
    return value.startsWith('"') ? JSON.parse(value) : pretty(value);
  }

  /** @param {EventTarget | null} target */
  #choose(target) {
    const part = /** @type {HTMLElement | null} */ (target instanceof Element ? target.closest(".j-part") : null);
    if (!part || part === this.#chosen) return;
    this.#chosen = part;
    (part.querySelector(":scope > summary") ?? part).append(this.#acts);
  }

  /** @param {MouseEvent} event */
  async #click(event) {
    const pressed = event.target instanceof Element ? event.target : null;
    const link = pressed?.closest("a.j-more");
    if (!link) {
      // Without a selection: somebody may be taking a piece of the text.
      if (!pressed?.closest("button, summary") && !String(getSelection())) /** @type {HTMLElement | null | undefined} */ (pressed?.closest("div.j-part"))?.focus();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const more = await fetchTree(link.getAttribute("href") ?? "");
    const parts = [...(more?.querySelector(":scope > .j-parts")?.children ?? [])].filter((one) => one.previousElementSibling || !one.matches(".j-more"));
    link.replaceWith(...parts);
    const [first] = parts;
    /** @type {HTMLElement | null} */ (first?.querySelector("summary") ?? first)?.focus();
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const row = event.target instanceof Element ? event.target.closest("summary, div.j-part") : null;
    if (!row || event.target !== row) return;
    const fold = row.parentElement instanceof HTMLDetailsElement && row.matches("summary") ? row.parentElement : null;
    const rows = /** @type {HTMLElement[]} */ ([...this.#tree.querySelectorAll("summary, div.j-part")].filter((one) => one.checkVisibility()));
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) rows[rows.indexOf(/** @type {HTMLElement} */ (row)) + by]?.focus();
    else if (event.key === "ArrowRight" && fold) fold.open = true;
    else if (event.key === "ArrowLeft" && fold?.open) fold.open = false;
    else if (event.key === "ArrowLeft") /** @type {HTMLElement | null} */ (row.closest(".j-parts")?.parentElement?.querySelector("summary"))?.focus();
    else return;
    event.preventDefault();
  }
}
