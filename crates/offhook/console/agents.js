// @ts-check
/** Agents: who answers here, and whether a file is right, by the server's own check. */
import { ask, get, isLost } from "./api.js";
import { fill, h, icon, ticked } from "./dom.js";
import { counted } from "./findings.js";
import { complain } from "./main.js";

/** A file is checked when nothing was typed for so long. */
const AFTER_MS = 350;
/** How the server stands is asked so often. */
const EVERY_MS = 3000;

const EXAMPLE = `[agent]
name = "front-desk"
instructions = "You answer the phone for the Blue Door restaurant."

[[stt]]
provider = "deepgram"
model = "nova-3"

[[llm]]
provider = "openai"
model = "gpt-6-luna"

[[tts]]
provider = "elevenlabs"
model = "eleven_flash_v2_5"
voice = "21m00Tcm4TlvDq8ikWAM"
`;

export class Agents {
  /** @param {import("./main.js").Server} server */
  constructor(server) {
    this.operator = !server.tenant;
    this.cards = h("div", { class: "agents" });
    this.facts = h("p", { class: "count" });
    this.routes = h("section", { class: "card", hidden: true });
    this.text = h("textarea", { id: "file", rows: "18", spellcheck: "false", value: sessionStorage.getItem("offhook.file") ?? EXAMPLE, oninput: () => this.soon() });
    this.verdict = h("div", { class: "verdict", role: "status", "aria-live": "polite" });
    this.element = h(
      "div",
      { class: "agents-view" },
      h("header", { class: "bar-top" }, h("h1", {}, "Agents"), this.facts),
      this.cards,
      this.routes,
      // An agent is built with the server's own environment to be checked: that is the operator's alone.
      !this.operator ? null : h("section", { class: "card check-card" }, h("h2", {}, h("label", { for: "file" }, "Check an agent's file, or offhook.toml, as you type")), h("p", { class: "about" }, "The same check as ", h("code", {}, "offhook check"), ". Nothing is saved; keys must be in the server's environment."), h("div", { class: "checker" }, this.text, this.verdict)),
    );
    this.timer = 0;
    this.polls = 0;
    this.shown = "";
    this.asked = 0;
    this.update(server);
  }

  show() {
    if (this.operator) this.check();
    clearInterval(this.polls);
    this.polls = window.setInterval(() => document.hidden || this.refresh(), EVERY_MS);
    this.refresh();
  }

  hide() {
    clearInterval(this.polls);
  }

  async refresh() {
    try {
      const server = await get("/server");
      // What is the same is left alone: somebody may be reading it.
      const now = JSON.stringify(server);
      if (now !== this.shown) this.update(server);
      this.shown = now;
    } catch (error) {
      if (!isLost(error)) clearInterval(this.polls);
      complain(error);
    }
  }

  /** @param {import("./main.js").Server} server */
  update(server) {
    this.facts.textContent = server.draining ? "The server is about to stop: it takes no new calls." : server.talking === 1 ? "1 call is talked on" : `${server.talking} calls are talked on`;
    const late = Math.min(...(server.workers_late_ms ?? []));
    if (Number.isFinite(late)) this.facts.textContent += ` · ${counted(server.workers_late_ms?.length ?? 0, "worker", "workers")}, ${late < 1 ? "in time" : `${late.toFixed(0)} ms late`}${server.turned_away ? ` · ${counted(server.turned_away, "call was", "calls were")} turned away` : ""}`;
    this.routes.hidden = server.routes.length === 0 && !server.routes_ask_first;
    fill(this.routes, h("h2", {}, "Routes"), h("p", { class: "about" }, server.routes_ask_first ? "An application is asked first. Else the first route whose conditions all hold is taken." : "The first whose conditions all hold is taken."), h("ol", { class: "routes" }, server.routes.map(route)));
    fill(
      this.cards,
      server.agents.map((agent, at) =>
        h(
          "section",
          { class: "card agent-card" },
          h("h2", {}, icon("agents"), agent.name, at === 0 && h("span", { class: "tag" }, "answers calls")),
          h("dl", { class: "pairs" }, pair("Language", agent.language), pair("Carried as", agent.transport === "media-streams" ? "sound (Media Streams)" : "text (ConversationRelay)"), pair("Stages", agent.stages.replace(/^StageSet\(|\)$/g, "")), agent.tools.length > 0 && pair("Tools", agent.tools.join(", ")), agent.transfers.length > 0 && pair("Hands over to", agent.transfers.join(", ")), agent.goal && pair("Goal", agent.goal)),
          agent.providers.length > 0 && providers(agent.providers),
          agent.transport === "media-streams" && h("a", { class: "button", href: `#/talk/${agent.name}` }, icon("phone"), "Talk to it"),
        ),
      ),
    );
  }

  soon() {
    clearTimeout(this.timer);
    sessionStorage.setItem("offhook.file", this.text.value);
    this.timer = window.setTimeout(() => this.check(), AFTER_MS);
  }

  async check() {
    this.asked += 1;
    const nth = this.asked;
    try {
      const answer = await ask("/agents/check", { method: "POST", body: this.text.value, headers: { "Content-Type": "application/toml" } });
      const { faults } = await answer.json();
      if (nth !== this.asked) return;
      if (faults.length === 0) fill(this.verdict, h("p", { class: "right" }, icon("check"), "This file is right."));
      else fill(this.verdict, h("ul", { class: "findings" }, faults.map((/** @type {string} */ fault) => h("li", {}, icon("warning"), h("span", {}, ticked(fault))))));
    } catch (error) {
      complain(error);
    }
  }
}

/** What a route does. @param {import("./main.js").Route} route */
function route({ when, agent, say, ...more }) {
  const rest = Object.entries(more).filter(([, value]) => value).map(([name, value]) => `${name} ${value}`);
  return h("li", {}, h("span", {}, when.length > 0 ? when.join(", ") : "every other call"), h("span", {}, "→ ", say ? `“${say}”` : h("strong", {}, agent ?? "the server's own agent"), rest.length > 0 && h("span", { class: "with" }, ` · ${rest.join(" · ")}`)));
}

/** @type {Record<string, string>} */
const CIRCUITS = { closed: "well", half_open: "on trial", open: "left alone" };

/** How each provider fares. @param {import("./main.js").Provider[]} all */
function providers(all) {
  const row = (/** @type {import("./main.js").Provider} */ one) => h("tr", {}, h("th", { scope: "row" }, one.name), h("td", {}, one.does), h("td", { class: `circuit ${one.circuit}` }, CIRCUITS[one.circuit] ?? one.circuit), h("td", {}, one.asked), h("td", { class: one.failed > 0 ? "some" : "" }, one.failed), h("td", {}, one.took_over));
  return h("table", { class: "ways" }, h("thead", {}, h("tr", {}, ["Provider", "Does", "Is", "Asked", "Failed", "Took over"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, all.map(row)));
}

/** @param {string} name @param {string} value */
const pair = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
