// @ts-check
/** A kept call's sound: both sides as the parties heard them. */
import { ask } from "./api.js";
import { SILENCE, decode } from "./mulaw.js";

/** A WAV file of μ-law, caller left, agent right: as the server writes it. @param {ArrayBuffer} file */
export function split(file) {
  const octets = new Uint8Array(file);
  let begin = 12;
  while (begin + 8 <= octets.length) {
    const size = new DataView(file).getUint32(begin + 4, true);
    if (String.fromCharCode(...octets.subarray(begin, begin + 4)) === "data") break;
    begin += 8 + size;
  }
  const data = octets.subarray(begin + 8);
  const length = data.length >> 1;
  const [caller, agent] = [new Uint8Array(length), new Uint8Array(length)];
  for (let at = 0; at < length; at += 1) {
    caller[at] = data[at * 2] ?? SILENCE;
    agent[at] = data[at * 2 + 1] ?? SILENCE;
  }
  return { caller, agent };
}

/** Tells `time` with the milliseconds that are heard, and `stop`. */
export class Player extends EventTarget {
  /** @param {string} sid */
  constructor(sid) {
    super();
    this.sid = sid;
    this.caller = new Uint8Array();
    this.agent = new Uint8Array();
    /** @type {AudioContext | null} */
    this.context = null;
    /** @type {AudioBufferSourceNode | null} */
    this.source = null;
    this.began = 0;
    this.from = 0;
  }

  async load() {
    const answer = await ask(`/v1/tapes/${this.sid}/sound`);
    Object.assign(this, split(await answer.arrayBuffer()));
  }

  get length() {
    return Math.max(this.caller.length, this.agent.length) / 8;
  }

  get playing() {
    return this.source !== null;
  }

  /** Plays from here, or goes on. @param {number} [ms] */
  play(ms = this.from) {
    this.stop();
    if (this.length === 0) return;
    const context = this.context ?? new AudioContext();
    this.context = context;
    const buffer = context.createBuffer(2, Math.max(1, this.length * 8), 8000);
    for (const [channel, octets] of [this.caller, this.agent].entries()) {
      const samples = buffer.getChannelData(channel);
      for (let at = 0; at < octets.length; at += 1) samples[at] = decode(octets[at] ?? SILENCE) / 32768;
    }
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(context.destination);
    source.onended = () => source === this.source && this.stop();
    this.from = ms;
    this.began = context.currentTime;
    this.source = source;
    context.resume();
    source.start(0, ms / 1000);
    this.follow();
  }

  follow() {
    if (!this.source || !this.context) return;
    const at = this.from + (this.context.currentTime - this.began) * 1000;
    this.dispatchEvent(new CustomEvent("time", { detail: at }));
    requestAnimationFrame(() => this.follow());
  }

  stop() {
    const { source, context } = this;
    if (!source || !context) return;
    this.from += (context.currentTime - this.began) * 1000;
    if (this.from >= this.length) this.from = 0;
    this.source = null;
    source.stop();
    this.dispatchEvent(new Event("stop"));
  }

  close() {
    this.stop();
    this.context?.close().catch(() => undefined);
    this.context = null;
  }
}
