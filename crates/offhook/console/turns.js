// @ts-check
/** How long each step of each answer took, on one scale. */
import { fill, h, icon } from "./dom.js";

/** @typedef {import("./story.js").CallerTurn} CallerTurn */

/** The steps, in their order: name, class, the milestone that ends it. */
const STEPS = /** @type {const} */ ([
  ["deciding", "Deciding that the turn is over", "decided_ms"],
  ["thinking", "Waiting for the first words", "first_text_ms"],
  ["voicing", "Waiting for the voice", "first_audio_ms"],
  ["sending", "Until the first frame went out", "first_frame_ms"],
]);

/** What is behind a turn's bar: each step's share. Steps that were over before the one before them took no time. @param {NonNullable<CallerTurn["timing"]>} timing */
export function steps(timing) {
  let at = 0;
  return STEPS.map(([name, label, milestone]) => {
    const end = Math.max(at, Math.min(timing[milestone] ?? at, timing.first_frame_ms));
    const step = { name, label, from: at, length: end - at };
    at = end;
    return step;
  });
}

export class Turns {
  constructor() {
    this.list = h("ol", { class: "turns" });
    this.element = h("div", {}, this.list, legend());
    this.shown = "";
  }

  /** @param {import("./story.js").Story} story */
  update(story) {
    const turns = story.turns.filter((turn) => turn.timing);
    const now = turns.map((turn) => `${turn.id}.${turn.version}`).join();
    if (now === this.shown) return;
    this.shown = now;
    const most = Math.max(400, ...turns.map((turn) => turn.timing?.first_frame_ms ?? 0));
    fill(this.list, turns.map((turn) => row(turn, most)).reverse());
  }
}

/** @param {CallerTurn} turn @param {number} most */
function row(turn, most) {
  const timing = /** @type {NonNullable<CallerTurn["timing"]>} */ (turn.timing);
  const bar = h("span", { class: "bar", "aria-hidden": "true" });
  for (const step of steps(timing)) {
    if (step.length === 0) continue;
    const part = h("span", { class: `part ${step.name}`, title: `${step.label}: ${Math.round(step.length)} ms` });
    part.style.width = `${(step.length / most) * 100}%`;
    bar.append(part);
  }
  const early = timing.requested_ms < timing.decided_ms;
  return h(
    "li",
    {},
    h("span", { class: "of" }, turn.text || "…"),
    h("span", { class: "figure" }, early && h("span", { class: "early", title: "The reply was begun before the turn's end was certain" }, icon("bolt"), h("span", { class: "unseen" }, "begun early, ")), `${Math.round(timing.first_frame_ms)} ms`),
    bar,
  );
}

function legend() {
  const names = { deciding: "deciding", thinking: "first words", voicing: "voice", sending: "sending" };
  return h("p", { class: "legend" }, Object.entries(names).map(([name, label]) => h("span", { class: `key ${name}` }, label)));
}
