// @ts-check
// The map of nodes, one square for each: which one the pointer or the focus is on, and the arrow keys between them.

const SQUARE = ".node-cell";

/**
 * One square is reached by Tab, the others from it by the arrow keys.
 * @param {HTMLElement} area
 * @param {HTMLElement} element
 */
export function inTurn(area, element) {
  const link = /** @type {HTMLElement} */ (element.firstElementChild);
  if (!link.hasAttribute("tabindex")) link.tabIndex = area.querySelector("[tabindex='0']") ? -1 : 0;
}

/**
 * @param {HTMLElement} area the squares
 * @param {HTMLElement} label says which one it is
 */
export function namedSquares(area, label) {
  /** @param {Event} event */
  const name = (event) => {
    const link = event.target instanceof Element && event.target.closest(SQUARE);
    if (link) label.textContent = link.getAttribute("aria-label");
  };
  area.addEventListener("pointerover", name);
  area.addEventListener("focusin", name);
  for (const item of area.children) inTurn(area, /** @type {HTMLElement} */ (item));
  area.addEventListener("keydown", (event) => {
    const item = event.target instanceof Element ? event.target.closest("li") : null;
    const next = item && neighbour(area, item, event.key);
    if (!next) return;
    event.preventDefault();
    for (const other of area.querySelectorAll("[tabindex='0']")) other.setAttribute("tabindex", "-1");
    const link = /** @type {HTMLElement} */ (next.firstElementChild);
    link.tabIndex = 0;
    link.focus();
  });
}

/**
 * Where an arrow key leads from a square.
 * @param {HTMLElement} area
 * @param {Element} item
 * @param {string} key
 */
function neighbour(area, item, key) {
  if (key === "ArrowRight") return item.nextElementSibling;
  if (key === "ArrowLeft") return item.previousElementSibling;
  if (key === "Home") return area.firstElementChild;
  if (key === "End") return area.lastElementChild;
  if (key !== "ArrowDown" && key !== "ArrowUp") return null;
  const items = [...area.children];
  const perRow = items.filter((one) => one.getBoundingClientRect().top === items[0].getBoundingClientRect().top).length;
  return items[items.indexOf(item) + (key === "ArrowDown" ? perRow : -perRow)] ?? null;
}
