// @ts-check
/** What was bad about a call, and where, the cause before what came of it: for somebody who has a minute. */
import { failures } from "./failures.js";
import { heardAndCut } from "./story.js";

/** @typedef {{ tone: "bad" | "warn", text: string, at: number | null, weight: number }} Finding */
/** What else is known of a call: what each provider does; that no sound came from the caller's side. @typedef {{ roles?: import("./failures.js").Roles, silent?: boolean }} Known */
/** @typedef {(weight: number, text: string, at?: number | null) => void} Say Weights of 50 and more are bad; the heaviest is told first. */

/** An answer's first sound after so long is slow: people notice from 0.8 s on, and speak again at 1.5 s. */
const SLOW_MS = 800;
const VERY_SLOW_MS = 1500;
/** A turn that is over so soon after it began was hardly heard whole. */
const EVEN_MS = 300;
/** Who hangs up after so long without an answer did it for that. */
const WAITED_MS = 2000;
/** Who speaks on so soon after a pause was in the middle of it. */
const WENT_ON_MS = 1500;
const BAD = 50;

/** What is said in the place of an answer. */
const BRIDGES = ["filler", "apology", "check_in"];

/** @param {number} count @param {string} one @param {string} many */
export const counted = (count, one, many) => `${count} ${count === 1 ? one : many}`;

/** How often. @param {number} count */
const times = (count) => (count === 1 ? "Once" : count === 2 ? "Twice" : `${count} times`);

/** @param {number} ms */
const inSeconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/**
 * @param {import("./story.js").Story} story
 * @param {any} [call] The call as the API shows it, or its document.
 * @param {Known} [known]
 * @returns {Finding[]}
 */
export function findings(story, call = {}, { roles = {}, silent = false } = {}) {
  /** @type {Finding[]} */
  const found = [];
  /** @type {Say} */
  const say = (weight, text, at = null) => found.push({ tone: weight >= BAD ? "bad" : "warn", text, at, weight });
  const agents = /** @type {import("./story.js").AgentTurn[]} */ (story.items.filter((item) => item.kind === "agent"));
  failures(story, call, roles, say);
  heard(story, say);
  slowness(story.turns, say);
  interruptions(story, agents, call, say);
  spoken(agents, say);
  ending(story, agents, { ...call, silent }, say);
  if (silent && call.ended !== "no_media") say(97, "No sound came from the caller's side, not even noise: their microphone was muted, or the line sent silence.");
  return found.sort((a, b) => b.weight - a.weight);
}

/** What was not understood, and who was cut off. @param {import("./story.js").Story} story @param {Say} say */
function heard(story, say) {
  const callers = story.turns;
  const deaf = callers.filter((turn) => turn.state === "ended" && !turn.text.trim());
  if (deaf.length > 0) {
    const all = deaf.length === callers.length ? "The agent was deaf: " : "";
    const how = `${deaf.length === 1 ? "once" : `${deaf.length} times`} the caller spoke and no word was understood`;
    say(all ? 88 : 72, `${all}${all ? how : how[0]?.toUpperCase() + how.slice(1)}.`, deaf[0]?.from);
  }
  const cutOff = [...callers.filter((turn) => turn.reopened > 0), ...spokenInto(story).map(({ caller }) => caller)].sort((a, b) => a.from - b.from);
  if (cutOff.length > 0) say(76, `${times(cutOff.length)} the caller was cut off: a pause was taken for the end, and they went on. The pause that ends a turn is too short.`, cutOff[0]?.from);
  if (story.echoes > 2) say(30, `${story.echoes} times the agent's own voice came back by the caller's line: a speakerphone, probably.`);
}

/** Answers into a caller's pause: they spoke on so soon that they weren't done. @param {import("./story.js").Story} story */
function spokenInto(story) {
  const callers = story.turns;
  const agents = story.items.filter((item) => item.kind === "agent");
  return callers.slice(1).flatMap((next, at) => {
    const caller = callers[at];
    if (!caller || next.from - caller.until > WENT_ON_MS) return [];
    const agent = agents.find((turn) => turn.kind === "agent" && turn.interrupted && turn.from >= caller.until && turn.from <= next.until);
    return agent ? [{ caller, agent }] : [];
  });
}

/**
 * Slow answers, by the step that took the longest.
 * @param {import("./story.js").CallerTurn[]} turns
 * @param {Say} say
 */
function slowness(turns, say) {
  const answered = turns.filter((turn) => turn.timing);
  const slow = answered.filter((turn) => (turn.timing?.first_frame_ms ?? 0) > SLOW_MS);
  /** @type {Map<string, import("./story.js").CallerTurn[]>} */
  const causes = new Map();
  for (const turn of slow) {
    const cause = slowest(/** @type {import("./story.js").Timing} */ (turn.timing));
    causes.set(cause, [...(causes.get(cause) ?? []), turn]);
  }
  if (slow.length === 0) return;
  const took = (/** @type {import("./story.js").CallerTurn} */ turn) => turn.timing?.first_frame_ms ?? 0;
  const worst = slow.reduce((a, b) => (took(a) > took(b) ? a : b));
  const most = took(worst);
  const total = (/** @type {import("./story.js").CallerTurn[]} */ those) => those.reduce((sum, turn) => sum + took(turn), 0);
  const [first, ...others] = [...causes].sort(([, a], [, b]) => total(b) - total(a)).map(([cause]) => cause);
  const also = others.length > 0 ? `; also, ${others.join(", and ")}` : "";
  say(most > VERY_SLOW_MS ? 70 : 34, `The agent was slow: ${slow.length} of ${counted(answered.length, "answer", "answers")} took up to ${inSeconds(most)}, because ${first}${also}.`, worst.from);
}

/** @param {import("./story.js").Timing} timing */
function slowest(timing) {
  const text = timing.first_text_ms ?? timing.decided_ms;
  const audio = timing.first_audio_ms ?? text;
  const words = timing.transcript_ms ?? 0;
  const late = words > timing.decided_ms - EVEN_MS && words > SLOW_MS / 2;
  /** @type {[number, string][]} */
  const steps = [
    [timing.decided_ms, late ? "speech-to-text was late with the caller's words" : "a long pause was waited out before the turn was over"],
    [text - Math.max(timing.decided_ms, 0), "the language model was slow to begin"],
    [audio - Math.max(text, timing.decided_ms), "the voice was slow to begin"],
    [timing.first_frame_ms - Math.max(audio, timing.decided_ms), "an earlier sentence was still being spoken"],
  ];
  return steps.reduce((a, b) => (b[0] > a[0] ? b : a))[1];
}

/** Who hangs up cuts what is being said, too. @param {import("./story.js").AgentTurn[]} agents @param {any} call */
const leftDuring = (agents, call) => (call.ended === "stream_stopped" && agents.at(-1)?.interrupted && !BRIDGES.includes(agents.at(-1)?.what ?? "") ? agents.at(-1) : undefined);

/**
 * @param {import("./story.js").Story} story
 * @param {import("./story.js").AgentTurn[]} agents
 * @param {any} call
 * @param {Say} say
 */
function interruptions(story, agents, call, say) {
  const into = spokenInto(story).map(({ agent }) => agent);
  const cut = agents.filter((turn) => turn.interrupted && !into.includes(turn) && turn !== agents.at(call.ended === "stream_stopped" ? -1 : agents.length));
  if (cut.length > 0) {
    const lost = cut.map((turn) => heardAndCut(turn).cut.trim()).reduce((a, b) => (b.length > a.length ? b : a), "");
    const why = cut.length > 2 ? ": its answers are long" : "";
    say(cut.length > 2 ? 66 : 20, `The caller interrupted the agent ${counted(cut.length, "time", "times")}${why}${lost ? `; not heard: “${short(lost)}”` : ""}.`, cut[0]?.from);
  }
  if (story.resumed > 0) say(story.resumed > 2 ? 60 : 28, `${times(story.resumed)} the agent fell silent for what was no interruption.`);
}

/** What the engine said of its own accord. @param {import("./story.js").AgentTurn[]} agents @param {Say} say */
function spoken(agents, say) {
  for (const [kind, weight, text] of /** @type {const} */ ([
    ["apology", 58, "the agent had to apologise: no answer came in time"],
    ["filler", 26, "a filler bridged the wait for an answer"],
    ["check_in", 24, "the agent asked whether the caller is still there"],
  ])) {
    const said = agents.filter((turn) => turn.what === kind);
    if (said.length > 0) say(weight, `${times(said.length)} ${text}.`, said[0]?.from);
  }
}

/**
 * How it ended.
 * @param {import("./story.js").Story} story
 * @param {import("./story.js").AgentTurn[]} agents
 * @param {any} call
 * @param {Say} say
 */
function ending(story, agents, call, say) {
  const why = call.ended ?? "";
  const callers = story.turns;
  if (call.state === "lost") say(98, "The server broke off in the middle of this call: it crashed, or was killed. What happened after that is not known.", story.at);
  if (why === "caller_silent" && callers.length === 0 && !call.silent) say(80, "The caller said nothing, and the agent hung up. Nobody was there, or their sound never came.");
  else if (why === "caller_silent" && callers.length > 0) say(56, "The caller fell silent, and the agent hung up.", callers.at(-1)?.from);
  if (["no_media", "voice_failed", "too_long"].includes(why)) say(84, `The call ended because ${story.ended}.`);
  const left = leftDuring(agents, call);
  if (left) say(54, `The caller hung up while the agent spoke; not heard: “${short(heardAndCut(left).cut.trim())}”.`, left.from);
  if (why === "stream_stopped") {
    const last = callers.at(-1);
    const until = call.duration_ms ?? story.at;
    const answers = agents.filter((turn) => last && turn.from > last.until && !BRIDGES.includes(turn.what));
    if (last && answers.length === 0 && until - last.until > WAITED_MS) say(96, `The caller hung up after ${inSeconds(until - last.until)} of waiting for an answer that never came.`, last.from);
    if (callers.length === 0 && agents.length > 0) say(22, "The caller hung up without a word.");
  }
  const verdict = call.outcome?.verdict;
  if (verdict && verdict !== "achieved") say(62, `Its goal was not achieved: ${verdict.replaceAll("_", " ")}${call.outcome.evidence ? `, “${short(call.outcome.evidence)}”` : ""}.`);
}

/** @param {string} text */
const short = (text) => (text.length > 70 ? `${text.slice(0, 68)} …` : text);
