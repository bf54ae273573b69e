// @ts-check
// The dialog that asks before something is changed, with a reason where one is shown to others.

import { byId } from "./dom.js";
import { t } from "./strings.js";

/**
 * Ask, and do it on yes. An error of `act` is shown in the dialog, which stays open.
 * @param {object} question
 * @param {string} question.title
 * @param {string} question.text
 * @param {string} question.ok label of the button that does it
 * @param {boolean} [question.hasReason]
 * @param {string} [question.typed] what has to be typed before it can be done
 * @param {boolean} [question.isDangerous]
 * @param {(reason: string) => Promise<void>} question.act
 */
export function ask({ title, text, ok, hasReason = false, typed = "", isDangerous = false, act }) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("ask"));
  const form = /** @type {HTMLFormElement} */ (dialog.querySelector("form"));
  const button = /** @type {HTMLButtonElement} */ (byId("ask-ok"));
  const reason = /** @type {HTMLInputElement} */ (byId("ask-reason"));
  const error = byId("ask-error");
  byId("ask-title").textContent = title;
  byId("ask-text").textContent = text;
  byId("ask-field").hidden = !hasReason && !typed;
  const label = /** @type {HTMLElement} */ (form.querySelector("label"));
  // What it says without a word to type is the template's.
  label.dataset.reason ??= label.textContent ?? "";
  label.textContent = typed ? t("ask.type", { word: typed }) : label.dataset.reason;
  reason.dataset.hint ??= reason.placeholder;
  reason.placeholder = typed ? "" : reason.dataset.hint;
  reason.oninput = () => (button.disabled = Boolean(typed) && reason.value.trim() !== typed);
  button.textContent = ok;
  button.className = isDangerous ? "button primary danger" : "button primary";
  button.disabled = Boolean(typed);
  reason.value = "";
  error.hidden = true;
  byId("ask-cancel").onclick = () => dialog.close();
  form.onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await act(reason.value.trim());
      dialog.close();
    } catch (problem) {
      error.textContent = problem instanceof Error ? problem.message : String(problem);
      error.hidden = false;
      button.disabled = false;
    }
  };
  dialog.showModal();
  (hasReason || typed ? reason : button).focus();
}
