// @ts-check
/** Beside a call: what the engine does now, how soon it answers, what else happened. */
import { fill, h, icon } from "./dom.js";
import { rolesOf } from "./failures.js";
import { findings } from "./findings.js";
import { agentNamed } from "./main.js";
import { EVIDENCE } from "./story.js";
import { Turns } from "./turns.js";
import { verdicts } from "./verdicts.js";

/** @type {Record<import("./story.js").State, string>} */
const STATES = {
  ringing: "Ringing",
  listening: "Listening",
  caller: "The caller speaks",
  waiting: "The caller pauses",
  thinking: "Thinking",
  agent: "The agent speaks",
  over: "Over",
};

/** The share of a meter that a level fills: from −60 to −10 dBov. @param {number} dbov */
const share = (dbov) => Math.max(0, Math.min(1, (dbov + 60) / 50));

export class Panel {
  constructor() {
    this.holes = 0;
    this.state = h("p", { class: "state", "data-state": "none" }, "No call");
    this.why = h("p", { class: "why" }, "What the engine does, and why, is told here while a call lasts.");
    this.meters = h("div", {});
    this.caller = meter("Caller");
    this.agent = meter("Agent");
    this.turns = new Turns();
    this.figures = h("dl", { class: "figures" });
    this.counts = h("dl", { class: "counts" });
    this.findings = h("ul", { class: "findings" });
    this.verdict = h("div", { hidden: true });
    this.twilio = card("Twilio would say", this.findings);
    this.twilio.hidden = true;
    this.cost = h("p", {});
    this.costCard = card("Cost", this.cost);
    this.costCard.hidden = true;
    fill(this.meters, this.caller.element, this.agent.element);
    this.element = h("aside", { class: "panel", "aria-label": "The engine", tabindex: "0" }, this.verdict, h("div", { class: "now" }, card("Now", this.state, this.why, this.meters)), card("Answers", this.figures, this.turns.element), card("Counted", this.counts), this.twilio, this.costCard);
    this.update(null);
  }

  /** No call came about. */
  none() {
    this.state.textContent = "No call";
    this.state.dataset.state = "none";
    this.why.textContent = "It did not come about.";
  }

  /** @param {import("./story.js").Story} story */
  begin(story) {
    this.holes = 0;
    fill(this.findings);
    this.twilio.hidden = true;
    this.costCard.hidden = this.verdict.hidden = true;
    this.levels(-127, -127, 0);
    this.update(story);
  }

  /** @param {number} caller @param {number} agent @param {number} waiting Milliseconds of the agent's sound that are not yet played. */
  levels(caller, agent, waiting) {
    // What is a voice, the engine says.
    this.caller.set(share(caller), this.state.dataset.state === "caller" ? "voice" : caller > -50 ? "sound" : "");
    this.agent.set(share(agent), waiting > 0 ? `${(waiting / 1000).toFixed(1)} s ahead` : "");
  }

  /** @param {string} what */
  find(what) {
    this.twilio.hidden = false;
    this.findings.append(h("li", {}, icon("warning"), what));
  }

  /** It is over: what was bad about it. @param {any} call The call as the API shows it. @param {import("./story.js").Story} story */
  over(call, story) {
    this.verdict.hidden = !call;
    if (call) fill(this.verdict, verdicts(findings(story, call, { roles: rolesOf(agentNamed(call.agent)) })));
    this.costs(call);
  }

  /** @param {any} call The call as the API shows it. */
  costs(call) {
    if (!call?.cost) return;
    const { total, by_provider: parts = {}, unpriced = [] } = call.cost;
    this.costCard.hidden = false;
    const each = Object.entries(parts).map(([name, cost]) => `${name} ${Number(cost).toFixed(4)}`);
    if (unpriced.length > 0) each.push(`without a price: ${unpriced.join(", ")}`);
    fill(this.cost, h("strong", {}, Number(total).toFixed(4)), each.length > 0 && h("span", { class: "with" }, ` ${each.join(" · ")}`));
  }

  /** @param {import("./story.js").Story | null} story */
  update(story) {
    if (story) {
      this.state.textContent = STATES[story.state];
      this.state.dataset.state = story.state;
      this.why.textContent = why(story);
      this.turns.update(story);
    }
    const times = (story?.turns ?? []).flatMap((turn) => (turn.timing ? [turn.timing.first_frame_ms] : [])).sort((a, b) => a - b);
    const at = (/** @type {number} */ part) => (times.length > 0 ? `${Math.round(times[Math.min(times.length - 1, Math.floor(part * times.length))] ?? 0)} ms` : "–");
    fill(this.figures, figure("Typical", at(0.5)), figure("Slowest", at(1)), figure("Turns", String(times.length)));
    fill(
      this.counts,
      [
        ["Interruptions", story?.interruptions ?? 0],
        ["Replies begun early", story?.speculated ?? 0],
        ["… and thrown away", story?.wasted ?? 0],
        ["Echoes told from speech", story?.echoes ?? 0],
        ["Tools used", story?.tools ?? 0],
        ["Holes in the sound", this.holes],
        ["Troubles", story?.troubles ?? 0],
      ].flatMap(([name, value]) => [h("dt", {}, name), h("dd", { class: value ? "some" : "" }, value)]),
    );
  }
}

/** What is waited for. @param {import("./story.js").Story} story */
function why(story) {
  const turn = story.current;
  const wait = turn?.waits.at(-1);
  switch (story.state) {
    case "waiting":
      return turn && wait ? `At most ${Math.max(0, Math.round(wait.until - turn.until))} ms of silence, as ${EVIDENCE[wait.evidence] ?? wait.evidence}.` : "Is it a pause, or the end?";
    case "thinking":
      return turn?.evidence ? `The turn is over: ${EVIDENCE[turn.evidence] ?? turn.evidence}.` : "The turn is over.";
    case "caller":
      return turn?.text ? `“${turn.text}”` : "No words yet.";
    case "agent":
      return "It may be interrupted.";
    case "over":
      return story.ended ? `The call is over: ${story.ended}.` : "The call is over.";
    case "ringing":
      return "The webhook is asked, and the socket opened.";
    default:
      return "It is the caller's turn.";
  }
}

/** @param {string} title @param {...Node} content */
const card = (title, ...content) => h("section", { class: "card" }, h("h2", {}, title), content);

/** @param {string} name @param {string} value */
const figure = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

/** @param {string} label */
function meter(label) {
  const fillBar = h("span", { class: "fill" });
  const note = h("span", { class: "meter-note" });
  const element = h("div", { class: `meter ${label.toLowerCase()}` }, h("span", { class: "meter-label" }, label), h("span", { class: "track", "aria-hidden": "true" }, fillBar), note);
  return {
    element,
    /** @param {number} value @param {string} text */
    set(value, text) {
      fillBar.style.transform = `scaleX(${value.toFixed(3)})`;
      if (note.textContent !== text) note.textContent = text;
    },
  };
}
