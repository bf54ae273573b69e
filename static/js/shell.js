// @ts-check
// What every page has: the live pill, the stale banner, theme, menu, help, and the keys that go from page to page.

import { everySecond, serverNow } from "./clock.js";
import { byId, make } from "./dom.js";
import { span } from "./format.js";
import { areKeysOn, onKeys, shortcuts } from "./keys.js";
import { live } from "./live.js";
import { offer, openPalette } from "./palette.js";
import { preference, remember } from "./preferences.js";
import { format } from "./row_format.js";
import { t } from "./strings.js";
import { toast } from "./toast.js";
import { zoneLabel, zoneName } from "./zone.js";

const pill = byId("live-pill");
const banner = byId("stale-banner");
let wasStale = false;
let saidOutdated = false;
let saidRefused = false;

function pillText() {
  if (live.status === "live" && live.delayMs) {
    return t("live.delay", { delay: format("duration", Math.max(live.delayMs, 1), 0) });
  }
  return live.status === "stale"
    ? t("live.stale", { span: span((serverNow() - live.heardAt) / 1000) })
    : t(`live.${live.status}`);
}

function showStatus() {
  const text = pillText();
  if (pill.textContent !== text) pill.textContent = text;
  pill.dataset.live = live.status === "reconnecting" ? "connecting" : live.status;
  pill.setAttribute("aria-pressed", String(live.isPaused));
  pill.title = t(live.isPaused ? "live.resume_hint" : "live.pause_hint");
  const isStale = live.status === "stale";
  if (isStale !== wasStale) {
    banner.hidden = !isStale;
    document.documentElement.toggleAttribute("data-stale", isStale);
    const time = format("log_time", live.heardAt, 0).slice(0, 8);
    const words = banner.querySelector("span");
    if (words) words.textContent = t("live.stale_banner", { time });
    if (wasStale && (live.status === "live" || live.status === "polling")) toast(t("live.restored"));
    wasStale = isStale;
  }
  if (live.isOutdated && !saidOutdated) {
    saidOutdated = true;
    toast(t("live.new_version"), { link: t("live.reload"), onLink: () => location.reload(), stays: true });
  }
  if (live.isRefused && !saidRefused) {
    saidRefused = true;
    toast(t("live.refused"), { tone: "bad" });
  }
}

// What takes another role can be reached and pressed, and says so.
addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("button[aria-disabled=true]") : null;
  if (!(button instanceof HTMLElement)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  toast(button.title);
}, true);

const togglePause = () => live.pause(!live.isPaused);

function switchTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const next = (preference("theme") || system) === "dark" ? "light" : "dark";
  // Back at what the system says, the page follows the system again.
  remember("theme", next === system ? "" : next);
  dispatchEvent(new Event("taskdist-theme"));
}

/** The sheet of keys: exactly what this page listens to. */
function showHelp() {
  for (const menu of menus) menu.open = false;
  const entries = [...shortcuts().map(({ keys, label }) => [keys.split(" "), label]), [["Ctrl", "K"], t("key.palette")]];
  byId("keys-list").replaceChildren(
    ...entries.flatMap(([keys, label]) => [
      make("dt", {}, .../** @type {string[]} */ (keys).map((key) => make("kbd", {}, key))),
      make("dd", {}, String(label)),
    ]),
  );
  /** @type {HTMLInputElement} */ (byId("keys-on")).checked = areKeysOn();
  /** @type {HTMLDialogElement} */ (byId("help")).showModal();
}

const menus = /** @type {HTMLDetailsElement[]} */ ([...document.querySelectorAll("details.menu")]);
addEventListener("click", (event) => {
  for (const menu of menus) {
    if (event.target instanceof Node && !menu.contains(event.target)) menu.open = false;
  }
});
for (const menu of menus) {
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary")?.focus();
  });
}

// The server did not know the browser's zone if this is the first page that it was asked for.
byId("zone-now").textContent = zoneLabel(serverNow());
byId("zone-name").textContent = zoneName;

byId("theme-button").addEventListener("click", switchTheme);
byId("help-button").addEventListener("click", showHelp);
byId("keys-on").addEventListener("change", ({ target }) => remember("keys", /** @type {HTMLInputElement} */ (target).checked ? "" : "off"));
byId("palette-button").addEventListener("click", () => {
  for (const menu of menus) menu.open = false;
  openPalette();
});
offer(t("key.theme"), switchTheme);
const otherLanguage = /** @type {HTMLElement | null} */ (document.querySelector(".language-switch button"));
if (otherLanguage) offer(otherLanguage.title, () => otherLanguage.click());
pill.addEventListener("click", togglePause);
live.addEventListener("status", showStatus);
// How long ago it was that something was heard.
everySecond(() => live.status === "stale" && showStatus());

onKeys("p", togglePause, t("key.pause"));
onKeys("/", () => {
  const field = /** @type {HTMLInputElement} */ (document.querySelector("[data-slash]") ?? byId("jump"));
  field.focus();
  field.select();
}, t("key.search"));
// The pages have their names from the rail, and only those that are there have keys.
for (const [key, address] of Object.entries({ o: "/", t: "/tasks/", y: "/types/", q: "/queues/", n: "/nodes/", s: "/submit/", a: "/activity/" })) {
  const link = document.querySelector(`.rail-link[href="${address}"]`);
  if (link) onKeys(`g ${key}`, () => location.assign(address), link.textContent?.trim());
}
onKeys("?", showHelp, t("key.help"));

live.start();
