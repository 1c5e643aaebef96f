// @ts-check
/** What was bad about a call, worst first, and where: for somebody who has a minute. */
import { heardAndCut } from "./story.js";

/** @typedef {{ tone: "bad" | "warn", text: string, at: number | null }} Finding */

/** An answer's first sound after so long is slow: people notice from 0.8 s on, and speak again at 1.5 s. */
const SLOW_MS = 800;
const VERY_SLOW_MS = 1500;
/** A turn that is over so soon after it began was hardly heard whole. */
const EVEN_MS = 300;

/** @param {number} count @param {string} one @param {string} many */
const counted = (count, one, many) => `${count} ${count === 1 ? one : many}`;

/**
 * @param {import("./story.js").Story} story
 * @param {any} [call] The call's document, if it was kept.
 * @returns {Finding[]}
 */
export function findings(story, call = {}) {
  /** @type {Finding[]} */
  const found = [];
  const say = (/** @type {Finding["tone"]} */ tone, /** @type {string} */ text, /** @type {number | null} */ at = null) => found.push({ tone, text, at });
  const callers = story.turns;
  const agents = /** @type {import("./story.js").AgentTurn[]} */ (story.items.filter((item) => item.kind === "agent"));

  slowness(callers, say);
  const deaf = callers.filter((turn) => turn.state === "ended" && !turn.text.trim());
  if (deaf.length > 0) say("bad", `${counted(deaf.length, "time", "times")} the caller spoke and no word was understood.`, deaf[0]?.from);
  const reopened = callers.filter((turn) => turn.reopened > 0);
  if (reopened.length > 0) say("bad", `${counted(reopened.length, "time", "times")} the caller was taken to be done, and went on: the pause that ended the turn was too short.`, reopened[0]?.from);
  const why = call.ended ?? "";
  // Who hangs up cuts what is being said, too.
  const left = why === "stream_stopped" && agents.at(-1)?.interrupted ? agents.at(-1) : undefined;
  const cut = agents.filter((turn) => turn.interrupted && turn !== left);
  if (cut.length > 0) {
    const lost = cut.map((turn) => heardAndCut(turn).cut.trim()).find((text) => text !== "");
    say(cut.length > 2 ? "bad" : "warn", `The caller interrupted ${counted(cut.length, "time", "times")}${lost ? `; not heard: “${short(lost)}”` : ""}.`, cut[0]?.from);
  }
  if (story.resumed > 0) say("warn", `${counted(story.resumed, "time", "times")} the agent fell silent for what was no interruption.`);
  const kinds = (/** @type {string} */ kind) => agents.filter((turn) => turn.what === kind);
  for (const [kind, tone, text] of /** @type {const} */ ([
    ["apology", "bad", "the agent had to apologise: no answer came in time"],
    ["filler", "warn", "a filler bridged the wait for an answer"],
    ["check_in", "warn", "the agent asked whether the caller is still there"],
  ])) {
    const said = kinds(kind);
    if (said.length > 0) say(tone, `${counted(said.length, "time", "times")} ${text}.`, said[0]?.from);
  }
  const failed = story.items.filter((item) => item.kind === "note" && item.tone === "bad");
  for (const item of failed.slice(0, 4)) if (item.kind === "note") say("bad", item.text, item.from);
  if (failed.length > 4) say("bad", `… and ${failed.length - 4} more troubles.`);
  if (story.echoes > 2) say("warn", `${story.echoes} times the agent's own voice came back by the caller's line: a speakerphone, probably.`);
  if (["caller_silent", "no_media", "voice_failed", "too_long"].includes(why)) say("bad", `The call ended because ${story.ended}.`);
  if (left) say("bad", `The caller hung up while the agent spoke; not heard: “${short(heardAndCut(left).cut.trim())}”.`, left.from);
  if (why === "stream_stopped" && callers.length === 0 && agents.length > 0) say("warn", "The caller hung up without a word.");
  const verdict = call.outcome?.verdict;
  if (verdict && verdict !== "achieved") say("bad", `Its goal was not achieved: ${verdict.replaceAll("_", " ")}${call.outcome.evidence ? `, “${short(call.outcome.evidence)}”` : ""}.`);
  return found.sort((a, b) => Number(b.tone === "bad") - Number(a.tone === "bad"));
}

/**
 * Slow answers, by the step that took the longest.
 * @param {import("./story.js").CallerTurn[]} turns
 * @param {(tone: Finding["tone"], text: string, at?: number | null) => void} say
 */
function slowness(turns, say) {
  const slow = turns.filter((turn) => (turn.timing?.first_frame_ms ?? 0) > SLOW_MS);
  /** @type {Map<string, import("./story.js").CallerTurn[]>} */
  const causes = new Map();
  for (const turn of slow) {
    const cause = slowest(/** @type {import("./story.js").Timing} */ (turn.timing));
    causes.set(cause, [...(causes.get(cause) ?? []), turn]);
  }
  for (const [cause, those] of causes) {
    const worst = those.reduce((a, b) => ((a.timing?.first_frame_ms ?? 0) > (b.timing?.first_frame_ms ?? 0) ? a : b));
    const most = worst.timing?.first_frame_ms ?? 0;
    say(most > VERY_SLOW_MS ? "bad" : "warn", `${counted(those.length, "answer was", "answers were")} slow, up to ${(most / 1000).toFixed(1)} s: ${cause}.`, worst.from);
  }
}

/** @param {import("./story.js").Timing} timing */
function slowest(timing) {
  const text = timing.first_text_ms ?? timing.decided_ms;
  const audio = timing.first_audio_ms ?? text;
  const words = timing.transcript_ms ?? 0;
  const late = words > timing.decided_ms - EVEN_MS && words > SLOW_MS / 2;
  /** @type {[number, string][]} */
  const steps = [
    [timing.decided_ms, late ? "the recogniser's words came late" : "the pause was waited out"],
    [text - Math.max(timing.decided_ms, 0), "the model's first words came late"],
    [audio - Math.max(text, timing.decided_ms), "the voice's first sound came late"],
    [timing.first_frame_ms - Math.max(audio, timing.decided_ms), "the sound was held back"],
  ];
  return steps.reduce((a, b) => (b[0] > a[0] ? b : a))[1];
}

/** @param {string} text */
const short = (text) => (text.length > 70 ? `${text.slice(0, 68)} …` : text);
