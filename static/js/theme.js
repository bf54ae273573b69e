// A classic script in the head, before any style is painted: the page never flashes in the wrong theme.
// What is stored is the reader's choice, "light" or "dark"; nothing stored means what the system says.
(() => {
  const root = document.documentElement;
  const apply = () => {
    let choice = null;
    try {
      choice = localStorage.getItem("taskdist-theme");
    } catch {
      // Storage may be switched off; the system's theme stands.
    }
    if (choice === "light" || choice === "dark") {
      root.dataset.theme = choice;
    } else {
      delete root.dataset.theme;
    }
  };
  apply();
  root.dataset.js = "on";
  addEventListener("storage", apply);
})();
