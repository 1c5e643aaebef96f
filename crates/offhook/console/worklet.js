// @ts-check
/**
 * The telephone, on the browser's audio clock: every 20 ms a frame of the caller's voice leaves, and a frame of Twilio's buffer is
 * played. What leaves is the microphone's sound, or what was typed; both go down the line that was chosen.
 */
import { SILENCE, decodeAll, encodeAll } from "./mulaw.js";
import { FRAME, Playout } from "./playout.js";
import { Resampler } from "./resample.js";
import { Line } from "./line.js";

/**
 * What the page wants of the telephone.
 * @typedef {(
 *   { do: "media", octets: Uint8Array } | { do: "mark", name: string } | { do: "clear" } | { do: "say", octets: Uint8Array } |
 *   { do: "mute", muted: boolean } | { do: "line", kind: import("./line.js").LineKind } | { do: "begin" } | { do: "end" }
 * )} Wish
 *
 * What it tells each 20 ms, once the stream has begun.
 * @typedef {{
 *   caller: Uint8Array | null, spoken: Uint8Array, heard: Uint8Array, marks: string[], saying: number, waiting: number,
 *   gaps: number, typed: boolean
 * }} Tick
 */

class Telephone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.playout = new Playout();
    this.down = new Resampler(sampleRate, 8000);
    this.up = new Resampler(8000, sampleRate);
    this.line = new Line("clean");
    /** The microphone at 8 kHz, not yet a frame. @type {number[]} */
    this.mic = [];
    /** Sound for the loudspeaker, not yet played. @type {number[]} */
    this.speaker = [];
    /** What is to be said in the place of the microphone's sound. @type {Uint8Array[]} */
    this.saying = [];
    this.muted = false;
    this.begun = false;
    this.over = false;
    this.port.onmessage = ({ data }) => this.take(data);
  }

  /** @param {Wish} wish */
  take(wish) {
    switch (wish.do) {
      case "media":
        if (!this.playout.media(wish.octets)) this.port.postMessage({ overflow: true });
        break;
      case "mark":
        this.back(this.playout.mark(wish.name));
        break;
      case "clear":
        this.back(this.playout.clear());
        break;
      case "say":
        for (let at = 0; at < wish.octets.length; at += FRAME) this.saying.push(wish.octets.subarray(at, at + FRAME));
        break;
      case "mute":
        this.muted = wish.muted;
        break;
      case "line":
        this.line = new Line(wish.kind);
        break;
      case "begin":
        this.begun = true;
        break;
      case "end":
        this.over = true;
        break;
    }
  }

  /** Marks that come back at once. @param {string[]} marks */
  back(marks) {
    if (marks.length > 0) this.port.postMessage({ back: marks });
  }

  /**
   * @param {Float32Array[][]} inputs
   * @param {Float32Array[][]} outputs
   */
  process(inputs, outputs) {
    if (this.over) return false;
    const output = outputs[0]?.[0];
    const length = output?.length ?? 128;
    const input = inputs[0]?.[0];
    const voice = new Float32Array(length);
    if (input && !this.muted) for (let at = 0; at < length; at += 1) voice[at] = (input[at] ?? 0) * 32768;
    for (const sample of this.down.process(voice)) this.mic.push(sample);
    if (this.begun) while (this.mic.length >= FRAME) this.tick();
    else this.mic.length = 0;
    if (output) {
      const ready = this.speaker.splice(0, length);
      for (let at = 0; at < length; at += 1) output[at] = (ready[at] ?? 0) / 32768;
    }
    return true;
  }

  /** 20 ms of both directions. */
  tick() {
    const mic = Int16Array.from(this.mic.splice(0, FRAME), (sample) => Math.max(-32768, Math.min(32767, Math.round(sample))));
    const typed = this.saying.shift();
    const voice = typed ? decodeAll(typed) : mic;
    const samples = new Int16Array(FRAME);
    samples.set(voice.subarray(0, FRAME));
    const { frame, marks } = this.playout.tick();
    const heard = decodeAll(frame);
    for (const sample of this.up.process(heard)) this.speaker.push(sample);
    const carried = this.line.carry(samples, heard);
    /** @type {Tick} */
    const tick = {
      caller: carried ? encodeAll(carried) : null,
      spoken: encodeAll(samples),
      heard: frame,
      marks,
      saying: this.saying.length,
      waiting: this.playout.waiting / 8,
      gaps: this.playout.gaps.length,
      typed: typed !== undefined,
    };
    this.port.postMessage(tick);
  }
}


/** So many frames of the caller's wait before they are heard: the network is not even. More than so many are too old. */
const EVEN = 3;
const TOO_OLD = 25;

/** Listens in: the caller's frames as they come, the agent's by Twilio's rules. */
class Ear extends AudioWorkletProcessor {
  constructor() {
    super();
    this.agent = new Playout();
    /** @type {Uint8Array[]} */
    this.caller = [];
    this.flows = false;
    this.side = "both";
    this.over = false;
    this.up = new Resampler(8000, sampleRate);
    /** @type {number[]} */
    this.speaker = [];
    this.port.onmessage = ({ data }) => {
      if (data.do === "caller") this.caller.push(data.octets);
      else if (data.do === "agent") this.agent.media(data.octets);
      else if (data.do === "mark") this.agent.mark(data.name);
      else if (data.do === "clear") this.agent.clear();
      else if (data.do === "side") this.side = data.side;
      else this.over = true;
    };
  }

  /** @param {Float32Array[][]} _inputs @param {Float32Array[][]} outputs */
  process(_inputs, outputs) {
    const output = outputs[0]?.[0];
    if (this.over || !output) return !this.over;
    while (this.speaker.length < output.length) this.tick();
    const ready = this.speaker.splice(0, output.length);
    for (let at = 0; at < output.length; at += 1) output[at] = (ready[at] ?? 0) / 32768;
    return true;
  }

  tick() {
    if (this.caller.length > TOO_OLD) this.caller.splice(0, this.caller.length - EVEN);
    this.flows = this.caller.length > 0 && (this.flows || this.caller.length >= EVEN);
    const caller = (this.flows && this.caller.shift()) || new Uint8Array(FRAME).fill(SILENCE);
    const agent = this.agent.tick().frame;
    const both = [this.side === "agent" ? null : decodeAll(caller), this.side === "caller" ? null : decodeAll(agent)];
    const mixed = Float32Array.from({ length: FRAME }, (_, at) => (both[0]?.[at] ?? 0) + (both[1]?.[at] ?? 0));
    for (const sample of this.up.process(mixed)) this.speaker.push(sample);
    this.port.postMessage({ caller, agent });
  }
}

registerProcessor("telephone", Telephone);
registerProcessor("ear", Ear);
