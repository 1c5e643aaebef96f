// @ts-check
/** What was said on a call, kept: as sound, and as a caller's file that says it again (`offhook call --caller`). */
import { SILENCE, VOICE, decode, level } from "./mulaw.js";

/** Sound before and behind a turn that is kept with it. */
const MARGIN_MS = 200;

/** @typedef {{ when: string, text: string, keys?: string, from?: number, until?: number }} Line */

export class Take {
  /** @param {import("./story.js").Story} story */
  constructor(story) {
    this.story = story;
    /** @type {import("./phone.js").Announced | null} */
    this.call = null;
    /** What the caller said before the line did it harm, and what was heard, frame by frame. @type {Uint8Array[]} */
    this.spoken = [];
    /** @type {Uint8Array[]} */
    this.heard = [];
    /** Keys, and when. @type {{ at: number, digit: string }[]} */
    this.keys = [];
  }

  get frames() {
    return this.spoken.length;
  }

  /** @param {import("./worklet.js").Tick} tick */
  tick(tick) {
    this.spoken.push(tick.spoken);
    this.heard.push(tick.heard);
  }

  /** @param {string} digit */
  key(digit) {
    this.keys.push({ at: this.frames * 20, digit });
  }

  /** The caller's lines, and when each is said: after the agent, or over it. @returns {Line[]} */
  lines() {
    const turns = this.story.turns.filter((turn) => turn.state === "ended").map((turn) => ({ from: turn.from, until: turn.until, text: turn.text, keys: "" }));
    /** @type {{ from: number, until: number, text: string, keys: string }[]} */
    const typed = [];
    for (const { at, digit } of this.keys) {
      const last = typed.at(-1);
      if (last && at - last.until < 3000) Object.assign(last, { until: at, keys: last.keys + digit });
      else typed.push({ from: at, until: at, text: "(keys)", keys: digit });
    }
    const all = [...turns, ...typed].sort((a, b) => a.from - b.from);
    let since = 0;
    return all.map(({ from, until, text, keys }) => {
      const when = this.when(since, from);
      since = until;
      return keys ? { when, text, keys } : { when, text, from: Math.max(0, from - MARGIN_MS), until: until + MARGIN_MS };
    });
  }

  /** How a line that begins at `from` stands to the agent's voice since the last line. @param {number} since @param {number} from */
  when(since, from) {
    let first = -1;
    let last = -1;
    for (let frame = Math.ceil(since / 20); frame * 20 < from; frame += 1) {
      if (level(this.heard[frame] ?? []) <= VOICE) continue;
      if (first < 0) first = frame * 20;
      last = frame * 20 + 20;
    }
    if (first < 0) return `at = "${Math.round(from)}ms"`;
    // A line begins a little before its first sound, as its file does.
    const begin = from - MARGIN_MS;
    if (begin - last < 60) return `barge_in = "${Math.max(0, Math.round(begin - first))}ms"`;
    return `after_agent = "${Math.max(100, Math.round((begin - last) / 20) * 20)}ms"`;
  }

  /** The caller's file. */
  toml() {
    const text = (/** @type {string} */ value) => JSON.stringify(value);
    const head = [`# Spoken in the console. Say it again: offhook call http://127.0.0.1:5000/voice --caller caller.toml`];
    if (this.call) head.push(`agent = ${text(this.call.agent)}`);
    head.push("# What the agent must have said in the end, or the call has failed.", "expect = []");
    const lines = this.lines().map((line, at) => {
      const what = line.keys ? `keys = ${text(line.keys)}` : `file = "line-${at + 1}.wav"`;
      return `\n[[line]]\n${what}\ntext = ${text(line.text)}\n${line.when}`;
    });
    return `${head.join("\n")}\n${lines.join("\n")}\n`;
  }

  /** Caller's file and sound, as one archive. */
  zip() {
    /** @type {[string, Uint8Array][]} */
    const files = [["caller/caller.toml", new TextEncoder().encode(this.toml())]];
    this.lines().forEach((line, at) => {
      if (line.keys === undefined) files.push([`caller/line-${at + 1}.wav`, wav([this.cut(this.spoken, line.from ?? 0, line.until ?? 0)])]);
    });
    return new Blob([zip(files)], { type: "application/zip" });
  }

  /** Both sides: caller left, agent right. */
  wav() {
    const whole = (/** @type {Uint8Array[]} */ frames) => this.cut(frames, 0, frames.length * 20);
    return new Blob([wav([whole(this.spoken), whole(this.heard)])], { type: "audio/wav" });
  }

  /** @param {Uint8Array[]} frames @param {number} from @param {number} until */
  cut(frames, from, until) {
    const chosen = frames.slice(Math.floor(from / 20), Math.ceil(until / 20));
    const octets = new Uint8Array(chosen.length * 160).fill(SILENCE);
    chosen.forEach((frame, at) => octets.set(frame, at * 160));
    return octets;
  }
}

/**
 * A WAV file of 16 bits at 8 kHz.
 * @param {Uint8Array[]} channels μ-law, all of the same length
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function wav(channels) {
  const count = channels.length;
  const length = channels[0]?.length ?? 0;
  const view = new DataView(new ArrayBuffer(44 + length * count * 2));
  const tag = (/** @type {number} */ at, /** @type {string} */ text) => [...text].forEach((letter, n) => view.setUint8(at + n, letter.charCodeAt(0)));
  tag(0, "RIFF");
  view.setUint32(4, 36 + length * count * 2, true);
  tag(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, count, true);
  view.setUint32(24, 8000, true);
  view.setUint32(28, 16000 * count, true);
  view.setUint16(32, 2 * count, true);
  view.setUint16(34, 16, true);
  tag(36, "data");
  view.setUint32(40, length * count * 2, true);
  channels.forEach((octets, channel) => {
    for (let at = 0; at < length; at += 1) view.setInt16(44 + (at * count + channel) * 2, decode(octets[at] ?? SILENCE), true);
  });
  return new Uint8Array(view.buffer);
}

/** CRC-32 (IEEE 802.3). @param {Uint8Array} octets */
export function crc32(octets) {
  let crc = 0xffffffff;
  for (const octet of octets) {
    crc ^= octet;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/**
 * A ZIP archive whose files are stored as they are (APPNOTE 6.3).
 * @param {[string, Uint8Array][]} files
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function zip(files) {
  /** @type {Uint8Array[]} */
  const parts = [];
  /** @type {Uint8Array[]} */
  const directory = [];
  let offset = 0;
  for (const [name, octets] of files) {
    const label = new TextEncoder().encode(name);
    // Version, flags (UTF-8), method, time, day (1 January 1980), CRC, sizes, length of the name, of the extra field.
    const common = new DataView(new ArrayBuffer(26));
    [20, 0x0800, 0, 0, 0x0021].forEach((value, at) => common.setUint16(at * 2, value, true));
    common.setUint32(10, crc32(octets), true);
    common.setUint32(14, octets.length, true);
    common.setUint32(18, octets.length, true);
    common.setUint16(22, label.length, true);
    const shared = new Uint8Array(common.buffer);
    const entry = new DataView(new ArrayBuffer(14));
    entry.setUint32(10, offset, true);
    directory.push(Uint8Array.of(0x50, 0x4b, 1, 2, 20, 0), shared, new Uint8Array(entry.buffer), label);
    parts.push(Uint8Array.of(0x50, 0x4b, 3, 4), shared, label, octets);
    offset += 30 + label.length + octets.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, files.length, true);
  end.setUint16(10, files.length, true);
  end.setUint32(12, size, true);
  end.setUint32(16, offset, true);
  const all = [...parts, ...directory, new Uint8Array(end.buffer)];
  const whole = new Uint8Array(offset + size + 22);
  let at = 0;
  for (const part of all) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
