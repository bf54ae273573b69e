// @ts-check
// Tabs in the way of the ARIA practices: arrow keys move, the address remembers which one is open. Where tabs are links
// (`?tab=logs`) they do without scripts as well: all panels are shown then.

/**
 * @typedef {object} Tabs
 * @property {(panel: string) => void} open Open a panel without writing it into the address.
 * @property {(by: number) => void} step Open the next tab (1) or the one before (-1).
 */

/**
 * @param {HTMLElement} list the element with role=tablist; without scripts all panels are shown
 * @param {(panel: string) => void} [opened] called with the id of the panel that is opened
 * @param {{param?: string}} [options] `param` of the address names the open panel; else its hash does
 * @returns {Tabs}
 */
export function makeTabs(list, opened = () => {}, { param } = {}) {
  const tabs = /** @type {HTMLElement[]} */ ([...list.querySelectorAll('[role="tab"]')]);
  const idOf = (/** @type {HTMLElement} */ tab) => tab.getAttribute("aria-controls") ?? "";
  let current = tabs[0];

  /** @param {HTMLElement} chosen @param {boolean} isByUser */
  function open(chosen, isByUser) {
    current = chosen;
    for (const tab of tabs) {
      const isChosen = tab === chosen;
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
      const panel = document.getElementById(idOf(tab));
      // Printed pages show every panel that is closed, but none that is hidden.
      if (panel) panel.toggleAttribute(param ? "data-closed" : "hidden", !isChosen);
    }
    if (isByUser) history.replaceState(null, "", addressOf(idOf(chosen)));
    opened(idOf(chosen));
  }

  /** @param {string} panel */
  function addressOf(panel) {
    if (!param) return `#${panel}`;
    const query = new URLSearchParams(location.search);
    query.set(param, panel);
    return `?${query}`;
  }

  /** The tab that the address asks for. A hash may name a panel, or a line of a log: "#L12". */
  function byAddress() {
    const asked = param && new URLSearchParams(location.search).get(param);
    const { hash } = location;
    return (
      tabs.find((tab) => idOf(tab) === "logs" && /^#L\d/.test(hash)) ??
      tabs.find((tab) => `#${idOf(tab)}` === hash) ??
      tabs.find((tab) => idOf(tab) === asked) ??
      tabs.find((tab) => tab.getAttribute("aria-selected") === "true") ??
      tabs[0]
    );
  }

  /** @param {number} by */
  function step(by) {
    const to = tabs[(tabs.indexOf(current) + by + tabs.length) % tabs.length];
    to.focus();
    open(to, true);
  }

  list.addEventListener("click", (event) => {
    const tab = tabs.find((one) => event.target instanceof Node && one.contains(event.target));
    if (!tab || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(tab, true);
  });
  list.addEventListener("keydown", (event) => {
    const at = tabs.findIndex((tab) => tab === document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    const isPressed = event.key === " " && at >= 0;
    if (at < 0 || (to === undefined && !isPressed)) return;
    event.preventDefault();
    const tab = tabs[((to ?? at) + tabs.length) % tabs.length];
    tab.focus();
    open(tab, true);
  });

  open(byAddress(), false);
  addEventListener("hashchange", () => open(byAddress(), false));
  return {
    open: (panel) => {
      const tab = tabs.find((one) => idOf(one) === panel);
      if (tab) open(tab, false);
    },
    step,
  };
}
