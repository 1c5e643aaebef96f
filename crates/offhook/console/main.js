// @ts-check
/** The page: which view is shown, whether the server knows us, light or dark. */
import { ApiError, get, isLost, key } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { Talk } from "./talk.js";
import { History } from "./history.js";
import { Live } from "./live.js";
import { Agents } from "./agents.js";

/**
 * @typedef {{ element: HTMLElement, show: (rest: string) => void, hide: () => void }} View
 * @typedef {{
 *   version: string, agents: Agent[], draining: boolean, talking: number, places_calls: boolean, keeps_calls: boolean, signed: boolean,
 *   tenant: string | null, person: string | null, routes: Route[], routes_ask_first: boolean, workers_late_ms: number[] | null, turned_away: number | null
 * }} Server
 * @typedef {{ name: string, language: string, transport: string, stages: string, tools: string[], goal: string | null, transfers: string[], providers: Provider[] }} Agent
 * @typedef {{ when: string[], agent: string | null, say: string | null, tenant: string | null, language: string | null, voice: string | null, greeting: string | null, goal: string | null }} Route
 * @typedef {{ does: string, name: string, circuit: string, asked: number, failed: number, took_over: number }} Provider
 */

const main = /** @type {HTMLElement} */ (document.getElementById("main"));

/** A word to the user that goes by itself. @param {string} text @param {"plain" | "bad"} [tone] */
export function toast(text, tone = "plain") {
  const element = h("p", { class: `toast ${tone}` }, text);
  document.getElementById("toasts")?.append(element);
  setTimeout(() => element.remove(), tone === "bad" ? 9000 : 4000);
}

/** Says what went wrong. @param {unknown} error */
export function complain(error) {
  if (error instanceof ApiError && error.status === 401) return unlock(true);
  // Of that tells the bar, as long as it is so.
  if (isLost(error)) return;
  toast(error instanceof Error ? error.message : String(error), "bad");
}

/** The token, from the address that the server printed; it does not stay there. */
function takeKey() {
  const found = /^#key=(.+)$/.exec(location.hash);
  if (!found?.[1]) return;
  key.set(decodeURIComponent(found[1]));
  history.replaceState(null, "", `${location.pathname}#/talk`);
}

/** @type {[string, string, string, () => View][]} */
const VIEWS = [
  ["talk", "Talk", "phone", () => new Talk(server)],
  ["live", "Live", "live", () => new Live()],
  ["history", "History", "history", () => new History()],
  ["agents", "Agents", "agents", () => new Agents(server)],
];

/** @type {Server} */
let server;
/** @type {Map<string, View>} */
const views = new Map();
/** @type {View | null} */
let shown = null;

function route() {
  const [, name = "", rest = ""] = /^#\/([a-z]+)\/?(.*)$/.exec(location.hash) ?? [];
  const entry = VIEWS.find(([id]) => id === name) ?? VIEWS[0];
  if (!entry) return;
  const [id, title, , make] = entry;
  let view = views.get(id);
  if (!view) {
    view = make();
    views.set(id, view);
  }
  if (shown !== view) {
    shown?.hide();
    main.replaceChildren(view.element);
    shown = view;
  }
  document.title = `${title} · Offhook`;
  for (const link of document.querySelectorAll("#views a")) {
    if (link.getAttribute("href") === `#/${id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  view.show(rest);
}

/** Light, dark, or as the system has it. */
function themes() {
  const root = document.documentElement;
  const apply = (/** @type {string} */ theme) => (theme ? root.setAttribute("data-theme", theme) : root.removeAttribute("data-theme"));
  apply(localStorage.getItem("offhook.theme") ?? "");
  const isDark = () => root.dataset.theme === "dark" || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const toggle = () => {
    const theme = isDark() ? "light" : "dark";
    localStorage.setItem("offhook.theme", theme);
    apply(theme);
    window.dispatchEvent(new Event("themed"));
  };
  return h("button", { class: "quiet", type: "button", onclick: toggle, title: "Light or dark" }, icon("theme"), h("span", { class: "label" }, "Theme"));
}

/** An agent that is served here. @param {string} name */
export const agentNamed = (name) => server?.agents.find((agent) => agent.name === name);

/** Who is signed in, where a proxy says so, and whose calls are shown, where they are not everybody's. @param {Server} server */
function whoAmI({ person, tenant }) {
  if (!person && !tenant) return null;
  return h("p", { class: "whoami" }, person && h("strong", {}, person), h("span", {}, tenant ? `calls of ${tenant}` : "all calls"));
}

/** Asks for the token. @param {boolean} wasWrong */
function unlock(wasWrong) {
  shown?.hide();
  shown = null;
  const field = h("input", { type: "password", id: "key", autocomplete: "off", required: true, spellcheck: "false" });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    key.set(field.value.trim());
    start();
  };
  const text = wasWrong && key.get() ? "This key does not open the server. It may have been started anew: open the address that it printed." : "Open the address that `offhook serve` printed, or give the API's token (OFFHOOK_API_TOKEN).";
  fill(main, h("form", { class: "card unlock", onsubmit: submit }, h("h1", {}, "Who are you?"), h("p", {}, text), h("label", { for: "key" }, "API token"), field, h("button", { class: "primary", type: "submit" }, "Open")));
  field.focus();
}

async function start() {
  try {
    server = await get("/server");
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return unlock(true);
    const title = error instanceof ApiError && error.code === "not_listed" ? "You may not see calls here" : "The server does not answer";
    fill(main, h("div", { class: "card unlock" }, h("h1", {}, title), h("p", {}, String(error instanceof Error ? error.message : error)), h("button", { class: "primary", onclick: start }, "Try again")));
    return;
  }
  const aside = document.getElementById("aside");
  if (aside) fill(aside, whoAmI(server), themes(), h("p", { class: "version" }, `v${server.version}`));
  route();
}

const bar = h("p", { class: "lost", role: "alert" });
document.body.prepend(bar);
window.addEventListener("unreached", () => bar.childElementCount > 0 || fill(bar, icon("warning"), h("span", {}, "The server does not answer. What you see may be old; it is asked again and again.")));
window.addEventListener("reached", () => bar.replaceChildren());

const list = document.getElementById("views");
if (list) fill(list, VIEWS.map(([id, title, drawing]) => h("li", {}, h("a", { href: `#/${id}` }, icon(drawing), h("span", {}, title)))));
takeKey();
themes();
window.addEventListener("hashchange", () => {
  if (location.hash.startsWith("#key=")) {
    takeKey();
    start();
  } else if (server) route();
});
start();
