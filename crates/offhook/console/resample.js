// @ts-check
/**
 * Streaming sample rate conversion between 8 kHz and the browser's rate: a windowed-sinc polyphase filter, by the design of the
 * crate `resample` (Kaiser's window, β 9.8, −6 dB at 4 kHz, 5 to 6 ms long), in floating point.
 *
 * After `n` samples in all, exactly ⌈n · to / from⌉ have come out, however the stream is cut.
 */

const BETA = 9.8;
const CUT_HZ = 4000;
/** Taps by the rate that comes in. @type {Record<number, number>} */
const LENGTHS = { 8000: 48, 16000: 96, 22050: 128, 24000: 128, 44100: 240, 48000: 256 };

/** @param {number} x */
const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** The modified Bessel function of order zero. @param {number} x */
function besselI0(x) {
  let sum = 1;
  for (let k = 30; k >= 1; k -= 1) sum = 1 + ((x * x) / 4 / (k * k)) * sum;
  return sum;
}

/** @param {number} a @param {number} b @returns {number} */
const gcd = (a, b) => (b === 0 ? a : gcd(b, a % b));

export class Resampler {
  /**
   * One of the rates is 8 kHz.
   * @param {number} from
   * @param {number} to
   */
  constructor(from, to) {
    const common = gcd(from, to);
    /** Phases. */
    this.up = to / common;
    this.down = from / common;
    this.taps = from === to ? 1 : (LENGTHS[from] ?? Math.round(from / 3200) * 16);
    this.rows = from === to ? [new Float64Array([1])] : this.design(from);
    /** The newest inputs, oldest first. */
    this.window = new Float64Array(this.taps - 1);
    /** The next output's phase, and how many inputs it still waits for. */
    this.phase = 0;
    this.wait = 0;
  }

  /** @param {number} from */
  design(from) {
    const middle = (this.taps / 2) * this.up;
    /** @param {number} distance */
    const at = (distance) => {
      const u = distance / middle;
      if (u > 1) return 0;
      return sinc((2 * CUT_HZ * distance) / (from * this.up)) * besselI0(BETA * Math.sqrt(1 - u * u));
    };
    const rows = [];
    for (let phase = 0; phase < this.up; phase += 1) {
      const row = new Float64Array(this.taps);
      // The newest input is `phase` steps old, the one before it `up` more, and so on.
      for (let age = 0; age < this.taps; age += 1) row[this.taps - 1 - age] = at(Math.abs(phase + age * this.up - middle));
      const sum = row.reduce((total, coefficient) => total + coefficient, 0);
      rows.push(row.map((coefficient) => coefficient / sum));
    }
    return rows;
  }

  /** Seconds by which a sound comes out later. */
  get delay() {
    return this.taps / 2;
  }

  /**
   * Takes samples, gives what comes out.
   * @param {ArrayLike<number>} input
   * @returns {Float32Array}
   */
  process(input) {
    const before = this.taps - 1;
    const all = new Float64Array(before + input.length);
    all.set(this.window);
    all.set(input, before);
    const count = Math.max(0, Math.ceil(((input.length - this.wait) * this.up - this.phase) / this.down));
    const output = new Float32Array(count);
    let newest = this.wait;
    for (let at = 0; at < count; at += 1) {
      const row = this.rows[this.phase];
      let sum = 0;
      if (row) for (let tap = 0; tap < this.taps; tap += 1) sum += (row[tap] ?? 0) * (all[newest + tap] ?? 0);
      output[at] = sum;
      this.phase += this.down;
      newest += Math.floor(this.phase / this.up);
      this.phase %= this.up;
    }
    this.wait = newest - input.length;
    this.window = all.slice(all.length - before);
    return output;
  }
}
