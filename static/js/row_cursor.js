// @ts-check
// Moving through a list with the keyboard: j and k go from row to row, Enter opens, x selects.

import { onKeys } from "./keys.js";
import { t } from "./strings.js";

/**
 * @param {() => HTMLElement | null | HTMLElement[]} container of the rows, or the rows; asked again each time, lists are replaced
 */
export function rowCursor(container) {
  const rows = () => {
    const found = container();
    return Array.isArray(found) ? found : /** @type {HTMLElement[]} */ ([...(found?.children ?? [])]);
  };
  const current = () => rows().find((row) => row.classList.contains("is-current")) ?? null;

  /** @param {number} step */
  function move(step) {
    const all = rows();
    if (!all.length) return;
    const from = current();
    const at = from ? all.indexOf(from) + step : step > 0 ? 0 : all.length - 1;
    const to = all[Math.min(Math.max(at, 0), all.length - 1)];
    from?.classList.remove("is-current");
    to.classList.add("is-current");
    to.querySelector("a")?.focus({ preventScroll: true });
    to.scrollIntoView({ block: "nearest" });
  }

  onKeys("j", () => move(1), t("key.next"), { isCommand: false });
  onKeys("k", () => move(-1), t("key.before"), { isCommand: false });
  onKeys("Enter", () => current()?.querySelector("a")?.click(), t("key.open"), { isCommand: false });
  const select = () => {
    const box = /** @type {HTMLInputElement | null | undefined} */ (current()?.querySelector("input[type=checkbox]"));
    box?.click();
  };
  onKeys("x", select, t("key.select"), { isCommand: false });
  return current;
}
