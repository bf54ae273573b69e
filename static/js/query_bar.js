// @ts-check
// The query's field as a combobox: keys first, then values of a key. Without it the field is a field of a form.

import { applied, choices, tokenAt } from "./query_text.js";

/** @import { Choice, Key } from "./query_text.js" */

/**
 * @param {HTMLInputElement} field
 * @param {HTMLElement} list
 */
export function queryBar(field, list) {
  /** @type {Promise<Key[]> | null} */
  let known = null;
  /** @type {Choice[]} */
  let shown = [];
  let active = -1;

  const keys = () => (known ??= load(field.dataset.suggestions ?? ""));
  const token = () => tokenAt(field.value, field.selectionStart ?? field.value.length);

  function close() {
    shown = [];
    active = -1;
    list.hidden = true;
    list.replaceChildren();
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  }

  async function open() {
    const found = await keys();
    if (document.activeElement !== field) return;
    shown = choices(token(), found);
    if (!shown.length) return close();
    active = -1;
    list.replaceChildren(...shown.map(option));
    list.hidden = false;
    field.setAttribute("aria-expanded", "true");
    field.removeAttribute("aria-activedescendant");
  }

  /** @param {Choice} choice @param {number} place */
  function option(choice, place) {
    const item = document.createElement("li");
    item.id = `suggestion-${place}`;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", "false");
    const text = document.createElement("code");
    text.textContent = choice.text;
    const note = document.createElement("span");
    note.textContent = choice.note;
    item.append(text, note);
    // Not click: the field would lose the focus before it.
    item.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      take(choice);
    });
    return item;
  }

  /** @param {Choice} choice */
  function take(choice) {
    const { text, caret } = applied(field.value, token(), choice);
    field.value = text;
    field.setSelectionRange(caret, caret);
    close();
    if (choice.isKey) open();
  }

  /** @param {number} step */
  function move(step) {
    active = (active + step + shown.length + (active < 0 && step < 0 ? 1 : 0)) % shown.length;
    for (const [place, item] of [...list.children].entries()) item.setAttribute("aria-selected", String(place === active));
    list.children[active].scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", `suggestion-${active}`);
  }

  field.setAttribute("role", "combobox");
  field.setAttribute("aria-autocomplete", "list");
  field.setAttribute("aria-controls", list.id);
  field.setAttribute("aria-expanded", "false");
  field.addEventListener("input", open);
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (list.hidden) {
      if (event.key === "ArrowDown") open();
      return;
    }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") move(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Enter" && active >= 0) take(shown[active]);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

/**
 * @param {string} url
 * @returns {Promise<Key[]>}
 */
async function load(url) {
  try {
    const answer = await fetch(url, { headers: { Accept: "application/json" } });
    return answer.ok ? (await answer.json()).keys : [];
  } catch {
    // Nothing to suggest; the field works without.
    return [];
  }
}
