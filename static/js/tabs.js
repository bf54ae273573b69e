// @ts-check
// Tabs in the way of the ARIA practices: arrow keys move, the address remembers which one is open.

/**
 * @param {HTMLElement} list the element with role=tablist; without scripts all panels are shown
 * @param {(panel: string) => void} [opened] called with the id of the panel that is opened
 */
export function makeTabs(list, opened = () => {}) {
  const tabs = /** @type {HTMLElement[]} */ ([...list.querySelectorAll('[role="tab"]')]);
  const idOf = (/** @type {HTMLElement} */ tab) => tab.getAttribute("aria-controls") ?? "";

  /** @param {HTMLElement} chosen @param {boolean} isByUser */
  function open(chosen, isByUser) {
    for (const tab of tabs) {
      const isChosen = tab === chosen;
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
      const panel = document.getElementById(idOf(tab));
      if (panel) panel.hidden = !isChosen;
    }
    if (isByUser) history.replaceState(null, "", `#${idOf(chosen)}`);
    opened(idOf(chosen));
  }

  list.addEventListener("click", (event) => {
    const tab = tabs.find((one) => event.target instanceof Node && one.contains(event.target));
    if (tab) open(tab, true);
  });
  list.addEventListener("keydown", (event) => {
    const at = tabs.findIndex((tab) => tab === document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length];
    tab.focus();
    open(tab, true);
  });

  /** Open the tab of the panel that `hash` names: "#logs", or "#L12" for a line in it. @param {string} hash */
  const byHash = (hash) => tabs.find((tab) => `#${idOf(tab)}` === hash || (idOf(tab) === "logs" && /^#L\d/.test(hash)));
  open(byHash(location.hash) ?? tabs[0], false);
  addEventListener("hashchange", () => {
    const tab = byHash(location.hash);
    if (tab) open(tab, false);
  });
  return (/** @type {string} */ panel) => {
    const tab = tabs.find((one) => idOf(one) === panel);
    if (tab) open(tab, false);
  };
}
