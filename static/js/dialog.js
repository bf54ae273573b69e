// @ts-check
// The dialog that asks before something is changed, with a reason where one is shown to others.

import { byId } from "./dom.js";

/**
 * Ask, and do it on yes. An error of `act` is shown in the dialog, which stays open.
 * @param {object} question
 * @param {string} question.title
 * @param {string} question.text
 * @param {string} question.ok label of the button that does it
 * @param {boolean} [question.hasReason]
 * @param {boolean} [question.isDangerous]
 * @param {(reason: string) => Promise<void>} question.act
 */
export function ask({ title, text, ok, hasReason = false, isDangerous = false, act }) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("ask"));
  const form = /** @type {HTMLFormElement} */ (dialog.querySelector("form"));
  const button = /** @type {HTMLButtonElement} */ (byId("ask-ok"));
  const reason = /** @type {HTMLInputElement} */ (byId("ask-reason"));
  const error = byId("ask-error");
  byId("ask-title").textContent = title;
  byId("ask-text").textContent = text;
  byId("ask-field").hidden = !hasReason;
  button.textContent = ok;
  button.className = isDangerous ? "button primary danger" : "button primary";
  button.disabled = false;
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
  (hasReason ? reason : button).focus();
}
