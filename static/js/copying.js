// @ts-check
// Copying text, also where the page is not served over https and the clipboard interface is missing.

import { make } from "./dom.js";
import { t } from "./strings.js";
import { toast } from "./toast.js";

/**
 * Copy `text` and say so.
 * @param {string} text
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = /** @type {HTMLTextAreaElement} */ (make("textarea", { class: "visually-hidden", readonly: "" }));
    // As it is hidden, lines would be copied without their indents.
    field.style.whiteSpace = "pre";
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  toast(t("task.copied"));
}

/** Make the page's buttons with data-copy copy the element that they name. */
export function copyButtons() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () => {
      copy(document.getElementById(button.getAttribute("data-copy") ?? "")?.textContent ?? "");
    });
  }
}
