// @ts-check
/**
 * The caller's line, made worse on purpose: what an agent must bear. A seed makes it repeat exactly.
 *
 * @typedef {"clean" | "mobile" | "noisy" | "loss" | "echo"} LineKind
 */

/** The kinds, for people. @type {Record<LineKind, string>} */
export const LINES = {
  clean: "Clean line",
  mobile: "Mobile phone",
  noisy: "Noisy room",
  loss: "5 % packet loss",
  echo: "Speakerphone echo",
};

/** Octets of 20 ms. */
const FRAME = 160;
/** An echo comes back after so many frames, so much quieter: 180 ms, −18 dB. */
const ECHO_FRAMES = 9;
const ECHO_GAIN = 0.126;
/** A café at about −45 dBov. */
const NOISE_RMS = 184;
/** Lost frames come in bursts of two on average (Gilbert's model): 5 % in all. */
const LOSS_BEGINS = 0.0263;
const LOSS_ENDS = 0.5;

/** Numbers from 0 to 1, the same for the same seed (mulberry32). @param {number} seed */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A second-order section. */
class Section {
  /** @param {number} b0 @param {number} b1 @param {number} b2 @param {number} a1 @param {number} a2 */
  constructor(b0, b1, b2, a1, a2) {
    this.c = [b0, b1, b2, a1, a2];
    this.z1 = 0;
    this.z2 = 0;
  }

  /** @param {"low" | "high"} kind @param {number} hz */
  static of(kind, hz) {
    const w = (2 * Math.PI * hz) / 8000;
    const alpha = Math.sin(w) / Math.SQRT2;
    const cos = Math.cos(w);
    const edge = kind === "low" ? (1 - cos) / 2 : (1 + cos) / 2;
    const middle = kind === "low" ? 1 - cos : -(1 + cos);
    const a0 = 1 + alpha;
    return new Section(edge / a0, middle / a0, edge / a0, (-2 * cos) / a0, (1 - alpha) / a0);
  }

  /** @param {number} x */
  run(x) {
    const [b0 = 0, b1 = 0, b2 = 0, a1 = 0, a2 = 0] = this.c;
    const y = b0 * x + this.z1;
    this.z1 = b1 * x - a1 * y + this.z2;
    this.z2 = b2 * x - a2 * y;
    return y;
  }
}

export class Line {
  /** @param {LineKind} kind @param {number} [seed] */
  constructor(kind, seed = 1) {
    this.kind = kind;
    this.random = random(seed);
    this.lost = false;
    /** What the caller heard, the newest last. @type {Int16Array[]} */
    this.heard = [];
    this.band = [Section.of("high", 300), Section.of("high", 300), Section.of("low", 3100), Section.of("low", 3100)];
    this.pink = Section.of("low", 900);
  }

  /**
   * A frame of the caller's voice on its way; `null` if it is lost.
   * @param {Int16Array} samples 20 ms
   * @param {Int16Array} heard What the caller hears in the same 20 ms.
   * @returns {Int16Array | null}
   */
  carry(samples, heard) {
    switch (this.kind) {
      case "mobile":
        return samples.map((sample) => this.mobile(sample));
      case "noisy":
        return samples.map((sample) => clip(sample + this.noise()));
      case "loss": {
        const turn = this.random();
        this.lost = this.lost ? turn >= LOSS_ENDS : turn < LOSS_BEGINS;
        return this.lost ? null : samples;
      }
      case "echo": {
        this.heard.push(heard);
        const back = this.heard.length > ECHO_FRAMES ? this.heard.shift() : undefined;
        return back ? samples.map((sample, at) => clip(sample + ECHO_GAIN * (back[at] ?? 0))) : samples;
      }
      default:
        return samples;
    }
  }

  /** Narrow, driven a little too hard, with the grain of a low bit rate. @param {number} sample */
  mobile(sample) {
    const narrow = this.band.reduce((x, section) => section.run(x), sample);
    const driven = 20000 * Math.tanh(narrow / 14000);
    const grain = Math.max(16, Math.abs(driven) / 24);
    return clip(driven + (this.random() - 0.5) * grain);
  }

  noise() {
    const white = (this.random() + this.random() + this.random() - 1.5) * 2;
    return this.pink.run(white) * NOISE_RMS * 3 + white * NOISE_RMS * 0.35;
  }
}

/** @param {number} value */
const clip = (value) => Math.max(-32768, Math.min(32767, Math.round(value)));

export { FRAME };
