// A classic script in the head, before any style is painted: the page never flashes in the wrong theme.
// It puts the reader's choices from the cookie of dispatcher/dashboard/preferences.py onto <html>, and notes the
// browser's time zone in it, so that the server's next first paint shows times in that zone.
(() => {
  const root = document.documentElement;
  const NAMES = ["theme", "density", "keys", "announce", "pace", "zone"];
  const COOKIE = "taskdist_view=";
  const read = () => {
    const cookie = document.cookie.split("; ").find((one) => one.startsWith(COOKIE)) ?? COOKIE;
    const chosen = new Map();
    for (const pair of cookie.slice(COOKIE.length).split("|")) {
      const colon = pair.indexOf(":");
      try {
        if (colon > 0) chosen.set(pair.slice(0, colon), decodeURIComponent(pair.slice(colon + 1)));
      } catch {
        // Not ours: left out, as the server does.
      }
    }
    return chosen;
  };
  const apply = () => {
    const chosen = read();
    for (const name of NAMES) {
      if (chosen.get(name)) root.dataset[name] = chosen.get(name);
      else delete root.dataset[name];
    }
    return chosen;
  };
  const write = (/** @type {Map<string, string>} */ chosen) => {
    const pairs = [...chosen].filter(([, value]) => value).map(([name, value]) => `${name}:${encodeURIComponent(value)}`);
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${COOKIE}${pairs.join("|")}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  };
  const chosen = apply();
  const local = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (local && chosen.get("local") !== local) write(chosen.set("local", local));
  root.dataset.js = "on";
  // Other tabs of this browser look alike at once.
  const tabs = "BroadcastChannel" in window ? new BroadcastChannel("taskdist-view") : null;
  if (tabs) tabs.onmessage = () => (apply(), dispatchEvent(new Event("taskdist-theme")));
  addEventListener("taskdist-remember", (event) => {
    const { name, value } = /** @type {CustomEvent} */ (event).detail;
    write(read().set(name, value));
    apply();
    tabs?.postMessage("");
  });
})();
