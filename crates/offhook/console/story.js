// @ts-check
/** A call's events told as a story: who said what, what of it was heard, why the engine waited. For calls that run and such that are over. */

/**
 * @typedef {{
 *   kind: "caller", id: string, version: number, from: number, until: number, text: string,
 *   state: "speaking" | "paused" | "ended" | "dropped", waits: { at: number, until: number, evidence: string }[],
 *   evidence: string, decided: number, why: string, speculated: number, reopened: number, timing: Timing | null, spans: [number, number][]
 * }} CallerTurn
 * @typedef {{
 *   kind: "agent", id: string, version: number, utterance: number, what: string, from: number, until: number, text: string,
 *   heard: string, state: "speaking" | "said" | "dropped", interrupted: boolean, timed: boolean, why: string, stopped: number
 * }} AgentTurn
 * @typedef {{ kind: "note", id: string, version: number, from: number, tone: "plain" | "tool" | "bad", text: string }} Note
 * @typedef {CallerTurn | AgentTurn | Note} Item
 * @typedef {{
 *   speech_end_ms: number, transcript_ms: number | null, decided_ms: number, requested_ms: number, first_text_ms: number | null,
 *   first_audio_ms: number | null, first_frame_ms: number
 * }} Timing
 * @typedef {"ringing" | "listening" | "caller" | "waiting" | "thinking" | "agent" | "over"} State
 * @typedef {{ t_ms: number, event: string, [name: string]: any }} CallEvent
 */

/** What a wait or an end of a turn rests on. @type {Record<string, string>} */
export const EVIDENCE = {
  recogniser_end: "the recogniser says that the caller is done",
  grammar_complete: "the words are a whole answer",
  yes_no: "a yes or no was asked for, and came",
  digits_complete: "the number has all its digits",
  punctuation: "the words end as a sentence does",
  plain: "the words look neither complete nor incomplete",
  unpunctuated: "the recogniser sets full stops, and set none",
  unsettled: "the words may yet change",
  digits_enough: "the number may be whole, or have more digits",
  digits_missing: "digits of the number are missing",
  trailing: "the words stop where nobody stops",
  hanging: "the words seldom end so",
  grammar_incomplete: "the answer lacks words",
  wordless: "no words have come",
  turn_model: "so sure is the turn model",
  longest: "the turn has lasted as long as one may",
};

/** @type {Record<string, string>} */
export const ENDS = {
  stream_stopped: "the caller hung up",
  agent_done: "the agent was done",
  hung_up: "it was ended from outside",
  caller_silent: "the caller was silent",
  too_long: "it reached its greatest length",
  no_media: "no sound came any more",
  transferred: "the caller was handed to somebody else",
  message_left: "a message was left on a mailbox",
  voice_failed: "the voice gave no sound any more",
};

/** What a deadline was for, where it is worth a line. @type {Record<string, string>} */
const DEADLINES = {
  words_late: "The words of a pause were late: a filler was due.",
  reply_late: "The reply was late: a filler, or an apology, was due.",
  tool_late: "The tool took long: a filler was due.",
  rest_late: "The rest of the reply was late: a filler, or an apology, was due.",
  voice_late: "The voice gave no sound for a phrase.",
  caller_silent: "The caller was silent: a check-in was due.",
  no_media: "No sound came from the caller's side for too long.",
};

/** What sort of thing the agent says, where it is no answer. @type {Record<string, string>} */
export const WHAT = {
  greeting: "greeting",
  filler: "filler",
  apology: "apology",
  check_in: "check-in",
  farewell: "farewell",
  announcement: "said for you",
  keys: "keys",
  echo: "echo",
};

export class Story {
  constructor() {
    /** @type {Item[]} */
    this.items = [];
    /** @type {State} */
    this.state = "ringing";
    /** The caller's turn that is going on, or may be reopened. @type {CallerTurn | null} */
    this.current = null;
    /** @type {CallerTurn | null} */
    this.answered = null;
    /** Barge-ins, and other moments of the picture. @type {{ at: number, what: string }[]} */
    this.moments = [];
    this.tools = 0;
    this.speculated = 0;
    this.wasted = 0;
    this.interruptions = 0;
    this.resumed = 0;
    this.echoes = 0;
    this.troubles = 0;
    this.language = "";
    this.ended = "";
    this.count = 0;
  }

  /** When the last thing happened, as far as it is known. */
  get at() {
    const last = this.items.at(-1);
    return last && last.kind !== "note" ? Math.max(last.from, last.until) : (last?.from ?? 0);
  }

  /** What was said before anybody watched. @param {{ transcript?: any[], replies?: Timing[] }} call The call as the API shows it. */
  seed(call) {
    for (const line of call.transcript ?? []) {
      const common = { id: this.name(), version: 0, from: line.t_ms, until: line.t_ms, text: line.text, why: "" };
      if (line.who === "caller") {
        this.items.push({ ...common, kind: "caller", state: "ended", waits: [], evidence: "", decided: 0, speculated: 0, reopened: 0, timing: null, spans: [] });
      } else {
        // Told when it was over: when it began is not known.
        this.items.push({ ...common, kind: "agent", utterance: -1, what: "reply", heard: line.text, state: "said", interrupted: Boolean(line.interrupted), timed: false, stopped: 0 });
      }
    }
    for (const timing of call.replies ?? []) {
      const turn = this.turns.findLast((turn) => turn.from <= timing.speech_end_ms && !turn.timing);
      if (turn) Object.assign(turn, { timing, until: timing.speech_end_ms });
    }
    if (this.items.length > 0) this.state = "listening";
    return this;
  }

  /** Timings of all turns that were answered. @returns {CallerTurn[]} */
  get turns() {
    return /** @type {CallerTurn[]} */ (this.items.filter((item) => item.kind === "caller" && item.state !== "dropped"));
  }

  /** The agent's utterance that is being heard. @returns {AgentTurn | undefined} */
  get speaking() {
    const last = this.items.findLast((item) => item.kind === "agent");
    return last?.kind === "agent" && last.state === "speaking" ? last : undefined;
  }

  /** @param {number} at @param {string} text @param {Note["tone"]} [tone] */
  note(at, text, tone = "plain") {
    this.items.push({ kind: "note", id: this.name(), version: 0, from: at, tone, text });
  }

  name() {
    this.count += 1;
    return `i${this.count}`;
  }

  /** The caller's turn that goes on, or a new one. @param {number} at */
  turn(at) {
    if (this.current && this.current.state !== "ended" && this.current.state !== "dropped") return this.current;
    /** @type {CallerTurn} */
    const turn = {
      kind: "caller", id: this.name(), version: 0, from: at, until: at, text: "", state: "speaking", waits: [], evidence: "",
      decided: 0, why: "", speculated: 0, reopened: 0, timing: null, spans: [],
    };
    this.items.push(turn);
    this.current = turn;
    return turn;
  }

  /** What comes next if nobody speaks. */
  rest() {
    if (this.state !== "over") this.state = this.speaking ? "agent" : "listening";
  }

  /** Takes an event. @param {CallEvent} event */
  take(event) {
    const at = event.t_ms;
    if (this.state === "ringing") this.state = "listening";
    switch (event.event) {
      case "speech_started": {
        const turn = this.turn(event.at_ms);
        turn.state = "speaking";
        if (turn.spans.length === 0) turn.from = event.at_ms;
        turn.spans.push([event.at_ms, event.at_ms]);
        touch(turn);
        this.state = "caller";
        break;
      }
      case "speech_paused": {
        const turn = this.turn(event.at_ms);
        turn.state = "paused";
        turn.until = event.at_ms;
        const span = turn.spans.at(-1);
        if (span) span[1] = event.at_ms;
        touch(turn);
        this.state = "waiting";
        break;
      }
      case "hearing": {
        // Words that come late are of the turn that is over: what begins a turn is a voice.
        const late = this.current?.state === "ended" ? this.current : null;
        const turn = late ?? this.turn(at);
        if (event.text || !late) turn.text = event.text;
        touch(turn);
        break;
      }
      case "waiting": {
        const turn = this.turn(at);
        turn.waits.push({ at, until: event.until_ms, evidence: event.evidence });
        touch(turn);
        this.state = "waiting";
        break;
      }
      case "turn_ended": {
        const turn = this.turn(event.began_ms);
        Object.assign(turn, { from: event.began_ms, text: event.text, state: "ended", until: event.speech_end_ms, decided: event.decided_ms, evidence: event.evidence });
        if (turn.spans.length === 0) turn.spans.push([event.began_ms, event.speech_end_ms]);
        touch(turn);
        this.answered = turn;
        this.state = "thinking";
        break;
      }
      case "turn_reopened":
        if (this.answered) {
          this.answered.state = "speaking";
          this.answered.reopened += 1;
          this.current = this.answered;
          touch(this.answered);
        }
        this.state = "caller";
        break;
      case "turn_dropped": {
        const turn = this.turn(at);
        turn.state = "dropped";
        turn.text = event.text || turn.text;
        turn.why = event.why === "backchannel" ? "listening along, no turn" : "noise, no words";
        touch(turn);
        this.rest();
        break;
      }
      case "speaking":
        this.items.push({
          kind: "agent", id: this.name(), version: 0, utterance: event.utterance, what: event.what, from: at, until: at,
          text: event.text, heard: "", state: "speaking", interrupted: false, timed: false, why: "", stopped: 0,
        });
        if (this.state !== "caller") this.state = "agent";
        break;
      case "said": {
        const said = this.utterance(event.utterance);
        if (said) {
          Object.assign(said, { heard: event.heard, text: event.text || said.text, interrupted: event.interrupted, timed: event.timed, until: at, state: "said" });
          touch(said);
        }
        if (this.state === "agent") this.rest();
        break;
      }
      case "reply_timed": {
        const turn = this.turns.find((turn) => turn.until === event.speech_end_ms) ?? this.answered;
        if (turn) {
          const { t_ms: _t, event: _e, ...timing } = event;
          turn.timing = /** @type {any} */ (timing);
          touch(turn);
        }
        break;
      }
      case "barge_in": {
        if (event.stage === "suspected") this.moments.push({ at: at - event.after_ms, what: "barge-in" });
        const cut = this.items.findLast((item) => item.kind === "agent");
        if (event.stage === "interrupted") {
          this.interruptions += 1;
          if (cut?.kind === "agent") {
            cut.stopped = event.after_ms;
            touch(cut);
          }
        }
        if (event.stage === "resumed") {
          this.resumed += 1;
          this.note(at, "The agent went on: it was no interruption.");
        }
        break;
      }
      case "echo_ignored":
        this.echoes += 1;
        break;
      case "speculated":
        this.speculated += 1;
        if (this.current) this.current.speculated += 1;
        break;
      case "speculation_dropped":
        this.wasted += 1;
        break;
      case "digits":
        this.note(at, `The caller keyed ${event.count} ${event.count === 1 ? "digit" : "digits"}.`);
        break;
      case "tool":
        this.tool(event);
        break;
      case "language":
        this.language = event.language;
        this.note(at, `The call goes on in ${event.language}.`);
        break;
      case "dropped":
        {
          const gone = this.utterance(event.utterance);
          if (gone && gone.state === "speaking") Object.assign(gone, { state: "dropped", why: event.why, until: at, version: gone.version + 1 });
        }
        break;
      case "deadline":
        if (DEADLINES[event.why]) this.note(at, DEADLINES[event.why] ?? "");
        break;
      case "trouble":
        this.troubles += 1;
        this.note(at, event.message, "bad");
        break;
      case "ended":
        this.ended = ENDS[event.why] ?? event.why;
        this.state = "over";
        this.note(at, `The call is over: ${this.ended}.`);
        break;
    }
    return this;
  }

  /** @param {number} id @returns {AgentTurn | undefined} */
  utterance(id) {
    const found = this.items.findLast((item) => item.kind === "agent" && item.utterance === id);
    return found?.kind === "agent" ? found : undefined;
  }

  /** A person was asked in the model's place. @param {CallEvent} event */
  person({ t_ms: at, stage, after_ms: after }) {
    const waits = "A person is asked to answer …";
    if (stage === "asked") return this.note(at, waits, "tool");
    const asked = this.items.findLast((item) => item.kind === "note" && item.text === waits);
    if (asked?.kind !== "note") return;
    asked.text = stage === "returned" ? `A person answered, after ${(after / 1000).toFixed(1)} s` : "A person was asked, and did not answer";
    touch(asked);
  }

  /** @param {CallEvent} event */
  tool(event) {
    const { name, stage, after_ms: after } = event;
    if (name === PERSON) return this.person(event);
    if (stage === "asked") {
      this.tools += 1;
      this.note(event.t_ms, `${name} …`, "tool");
      return;
    }
    const asked = this.items.findLast((item) => item.kind === "note" && item.tone === "tool" && item.text === `${name} …`);
    if (asked?.kind !== "note") return;
    const outcome = { returned: `gave its result after ${after} ms`, failed: `failed after ${after} ms`, cancelled: "was given up" }[/** @type {string} */ (stage)];
    asked.text = `${name} ${outcome ?? stage}`;
    if (stage === "failed") asked.tone = "bad";
    touch(asked);
  }
}

/** The tool that waits for whoever has taken the model's seat. */
const PERSON = "ask_person";

/** It looks otherwise now. @param {Item} item */
const touch = (item) => {
  item.version += 1;
};

/**
 * What was said, in parts: heard, and cut.
 * @param {AgentTurn} said
 * @returns {{ heard: string, cut: string }}
 */
export function heardAndCut(said) {
  if (said.state !== "said" || !said.interrupted) return { heard: said.text || said.heard, cut: "" };
  const heard = said.heard.trim();
  const at = said.text.indexOf(heard);
  return { heard, cut: at >= 0 ? said.text.slice(at + heard.length) : said.text.slice(heard.length) };
}
