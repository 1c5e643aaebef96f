// @ts-check
/**
 * Twilio's outbound buffer: plays in real time, returns marks when it reaches them, all of them on `clear`. The same rules as the
 * simulator's `playout.rs`; the tests hold both to the same traces.
 */
import { SILENCE } from "./mulaw.js";

/** 20 ms. */
export const FRAME = 160;
/** 10 minutes: beyond, Twilio discards (warning 31931). */
const MOST = 8000 * 600;
/** A pause no longer than this, in the midst of speech, is a gap; longer ones are pauses between utterances. */
const LONGEST_GAP_MS = 500;

export class Playout {
  constructor() {
    /** @type {Uint8Array[]} */
    this.queue = [];
    /** Octets of the first piece that were played. */
    this.offset = 0;
    this.waiting = 0;
    /** Names, and how many octets were ever queued before them. @type {{ at: number, name: string }[]} */
    this.marks = [];
    this.queued = 0;
    this.played = 0;
    this.ticks = 0;
    /** Since when it has been dry, if something was played before and no mark said that this was the end. @type {number | null} */
    this.drySince = null;
    /** The end of what was queued is marked: what comes then is a new utterance. */
    this.endMarked = false;
    /** Holes in the agent's speech. @type {{ at_ms: number, length_ms: number }[]} */
    this.gaps = [];
  }

  /**
   * Queues sound. False if some was discarded because more than 10 minutes wait already.
   * @param {Uint8Array} octets
   */
  media(octets) {
    if (octets.length === 0) return true;
    if (this.drySince !== null) {
      const length = (this.ticks - this.drySince) * 20;
      if (this.waiting === 0 && length >= 1 && length <= LONGEST_GAP_MS) {
        this.gaps.push({ at_ms: this.drySince * 20, length_ms: length });
      }
      this.drySince = null;
    }
    this.endMarked = false;
    const taken = octets.subarray(0, Math.max(0, Math.min(octets.length, MOST - this.waiting)));
    if (taken.length > 0) this.queue.push(taken);
    this.waiting += taken.length;
    this.queued += taken.length;
    return taken.length === octets.length;
  }

  /**
   * Queues a mark; gives the names that come back at once: it, if nothing is queued.
   * @param {string} name
   * @returns {string[]}
   */
  mark(name) {
    this.endMarked = true;
    this.drySince = null;
    if (this.waiting === 0) return [name];
    this.marks.push({ at: this.queued, name });
    return [];
  }

  /** Forgets what wasn't played; gives back all marks. @returns {string[]} */
  clear() {
    this.played = this.queued;
    this.queue = [];
    this.offset = 0;
    this.waiting = 0;
    this.drySince = null;
    this.endMarked = true;
    return this.marks.splice(0).map((mark) => mark.name);
  }

  /**
   * Plays 20 ms: what is heard, the marks that were reached, and whether sound came from the buffer.
   * @returns {{ frame: Uint8Array, marks: string[], sounded: boolean }}
   */
  tick() {
    const frame = new Uint8Array(FRAME).fill(SILENCE);
    let filled = 0;
    while (filled < FRAME) {
      const piece = this.queue[0];
      if (!piece) break;
      const part = piece.subarray(this.offset, this.offset + FRAME - filled);
      frame.set(part, filled);
      filled += part.length;
      this.offset += part.length;
      if (this.offset >= piece.length) {
        this.queue.shift();
        this.offset = 0;
      }
    }
    this.waiting -= filled;
    this.played += filled;
    this.ticks += 1;
    if (filled > 0 && this.waiting === 0 && !this.endMarked) this.drySince = this.ticks;
    const marks = [];
    while (this.marks[0] && this.marks[0].at <= this.played) marks.push(this.marks.shift()?.name ?? "");
    return { frame, marks, sounded: filled > 0 };
  }
}
