// @ts-check
/** What both said, as it is heard: partial words grey, cut words struck out, waits with their reason. */
import { h, icon, seconds } from "./dom.js";
import { EVIDENCE, WHAT, heardAndCut } from "./story.js";

/** @typedef {import("./story.js").Item} Item */

export class Transcript {
  /**
   * @param {{ live?: boolean, jump?: (ms: number) => void, empty?: string }} [options] `live`: new lines are told to screen readers.
   */
  constructor(options = {}) {
    this.options = options;
    this.list = h("ol", { class: "lines", "aria-label": "Transcript", "aria-live": options.live ? "polite" : "off", "aria-relevant": "additions" });
    this.element = h("div", { class: "transcript", tabindex: "0", role: "region", "aria-label": "Transcript" }, this.list);
    /** @type {Map<string, { version: number, element: HTMLElement }>} */
    this.shown = new Map();
  }

  /** @param {import("./story.js").Story} story */
  update(story) {
    const near = this.element.scrollHeight - this.element.scrollTop - this.element.clientHeight < 80;
    let changed = false;
    for (const item of story.items) {
      const shown = this.shown.get(item.id);
      if (shown && shown.version === item.version) continue;
      changed = true;
      const element = this.line(item);
      if (shown) shown.element.replaceWith(element);
      else this.list.append(element);
      this.shown.set(item.id, { version: item.version, element });
    }
    if (changed && near && this.options.live) this.toEnd();
  }

  /** Shows the last line. */
  toEnd() {
    this.element.scrollTop = this.element.scrollHeight;
  }

  /** @param {number} ms */
  time(ms) {
    const { jump } = this.options;
    const text = seconds(ms);
    return jump ? h("button", { class: "time", type: "button", "aria-label": `Hear from ${text}`, onclick: () => jump(ms) }, text) : h("span", { class: "time" }, text);
  }

  /** @param {Item} item @returns {HTMLElement} */
  line(item) {
    if (item.kind === "note") {
      const mark = item.tone === "tool" ? "tool" : item.tone === "bad" ? "warning" : null;
      return h("li", { class: `note ${item.tone}` }, mark && icon(mark), h("span", {}, item.text), this.time(item.from));
    }
    if (item.kind === "caller") {
      const partial = item.state === "speaking" || item.state === "paused";
      const words = item.text || (partial ? "…" : "no words understood");
      const wait = item.waits.at(-1);
      const about = [];
      if (item.state === "paused" && wait) about.push(`waits up to ${Math.max(0, Math.round(wait.until - item.until))} ms: ${EVIDENCE[wait.evidence] ?? wait.evidence}`);
      if (item.state === "ended" && item.evidence) about.push(`${Math.max(0, Math.round(item.decided - item.until))} ms pause, then: ${EVIDENCE[item.evidence] ?? item.evidence}`);
      if (item.state === "dropped") about.push(item.why);
      return h(
        "li",
        { class: `line caller ${item.state}${item.text ? "" : " wordless"}` },
        h("p", { class: "who" }, "Caller", this.time(item.from)),
        h("p", { class: partial ? "words partial" : "words" }, words),
        about.length > 0 && h("p", { class: "about" }, about.join(" · ")),
      );
    }
    const { heard, cut } = heardAndCut(item);
    const what = WHAT[item.what];
    return h(
      "li",
      { class: `line agent ${item.state}${item.interrupted ? " interrupted" : ""}` },
      h("p", { class: "who" }, "Agent", what && h("span", { class: "tag" }, what), this.time(item.from)),
      h("p", { class: "words" }, heard, cut && h("del", { title: "not heard: the caller interrupted" }, cut)),
      item.interrupted && h("p", { class: "about" }, item.stopped ? `interrupted; silent ${item.stopped} ms after the caller began` : "interrupted"),
      item.state === "dropped" && h("p", { class: "about" }, `not said to its end: ${item.why.replaceAll("_", " ")}`),
    );
  }
}
