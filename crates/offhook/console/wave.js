// @ts-check
/** Both voices on one axis of time: the caller above, the agent below, as heard. With turns, waits and barge-ins. */
import { h } from "./dom.js";
import { decode } from "./mulaw.js";

/** Milliseconds of a column. */
const STEP = 20;

/** The loudest sample of a frame, from 0 to 1, so that quiet speech can be seen. @param {ArrayLike<number>} octets */
export function peak(octets) {
  let most = 0;
  for (let at = 0; at < octets.length; at += 1) most = Math.max(most, Math.abs(decode(octets[at] ?? 0xff)));
  return Math.min(1, (most / 20000) ** 0.6);
}

export class Wave {
  /** @param {{ span?: number, jump?: (ms: number) => void, label?: string }} [options] `span`: milliseconds shown; else all. */
  constructor(options = {}) {
    this.span = options.span ?? 0;
    /** @type {number[]} */
    this.caller = [];
    /** @type {number[]} */
    this.agent = [];
    /** When the first column was, on the call's clock. */
    this.base = 0;
    /** @type {import("./story.js").Story | null} */
    this.story = null;
    /** Where it is being played from, in milliseconds. @type {number | null} */
    this.cursor = null;
    this.canvas = h("canvas", { class: "wave", role: "img", "aria-label": options.label ?? "Both voices over time: caller above, agent below" });
    this.element = h("div", { class: "wave-box" }, this.canvas);
    const { jump } = options;
    if (jump) {
      this.canvas.classList.add("jumps");
      this.canvas.addEventListener("click", (event) => jump(this.from + (event.offsetX / this.canvas.clientWidth) * this.length));
    }
    this.pending = false;
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** A frame of each. @param {ArrayLike<number>} caller @param {ArrayLike<number>} agent */
  push(caller, agent) {
    this.caller.push(peak(caller));
    this.agent.push(peak(agent));
    this.draw();
  }

  /** Forgets what was heard. */
  restart() {
    this.caller = [];
    this.agent = [];
  }

  get until() {
    return this.base + this.caller.length * STEP;
  }

  get length() {
    return this.span || Math.max(this.until - this.base, 1000);
  }

  get from() {
    return this.span ? Math.max(this.base, this.until - this.span) : this.base;
  }

  /** Soon, once. */
  draw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.paint();
    });
  }

  paint() {
    const { canvas, story } = this;
    const [width, height, ratio] = [canvas.clientWidth, canvas.clientHeight, window.devicePixelRatio || 1];
    const context = canvas.getContext("2d");
    if (!context || width === 0) return;
    if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
    if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const style = getComputedStyle(canvas);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    const [from, length] = [this.from, this.length];
    const x = (/** @type {number} */ ms) => ((ms - from) / length) * width;
    const axis = 18;
    const lane = (height - axis) / 2;
    // Seconds.
    const every = [1, 2, 5, 10, 30, 60, 120, 300].find((step) => ((step * 1000) / length) * width >= 56) ?? 600;
    context.font = `11px ${style.fontFamily}`;
    for (let second = Math.ceil(from / 1000 / every) * every; second * 1000 <= from + length; second += every) {
      context.fillStyle = colour("--line");
      context.fillRect(x(second * 1000), 0, 1, height - axis);
      context.fillStyle = colour("--faint");
      context.fillText(`${second} s`, x(second * 1000) + 3, height - 5);
    }
    if (story) this.paintTurns(context, { x, lane, colour });
    for (const [values, middle, name] of /** @type {const} */ ([
      [this.caller, lane / 2, "--caller"],
      [this.agent, lane * 1.5, "--agent"],
    ])) {
      context.fillStyle = colour(name);
      const column = (STEP / length) * width;
      const bar = Math.max(1, Math.min(3, column * 0.7));
      const stride = Math.max(1, Math.ceil(1.5 / column));
      for (let at = Math.max(0, Math.floor((from - this.base) / STEP)); at < values.length; at += stride) {
        let value = 0;
        for (let inner = at; inner < Math.min(values.length, at + stride); inner += 1) value = Math.max(value, values[inner] ?? 0);
        const half = Math.max(0.5, value * (lane / 2 - 6));
        context.fillRect(x(this.base + at * STEP), middle - half, stride > 1 ? Math.max(1, column * stride * 0.8) : bar, half * 2);
      }
    }
    if (this.cursor !== null) {
      context.fillStyle = colour("--text");
      context.fillRect(x(this.cursor), 0, 1.5, height - axis);
    }
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {{ x: (ms: number) => number, lane: number, colour: (name: string) => string }} how
   */
  paintTurns(context, { x, lane, colour }) {
    for (const item of this.story?.items ?? []) {
      if (item.kind === "note") continue;
      const until = item.state === "speaking" ? this.until : item.until;
      const left = x(item.from);
      context.fillStyle = colour(item.kind === "caller" ? "--caller-soft" : "--agent-soft");
      context.fillRect(left, item.kind === "caller" ? 2 : lane + 2, Math.max(1, x(until) - left), lane - 4);
      if (item.kind === "caller" && item.timing && item.state === "ended") {
        // From the end of the speech to the answer's first sound.
        const [begin, end] = [x(item.until), x(item.until + item.timing.first_frame_ms)];
        context.fillStyle = colour("--text");
        context.fillRect(begin, lane, Math.max(1, end - begin), 1.5);
        context.fillRect(begin, lane - 4, 1.5, 9);
        context.fillRect(end, lane - 4, 1.5, 9);
        context.fillText(`${item.timing.first_frame_ms} ms`, end + 4, lane - 3);
      }
    }
    context.fillStyle = colour("--bad");
    for (const moment of this.story?.moments ?? []) context.fillRect(x(moment.at), 0, 1.5, lane * 2);
  }
}
