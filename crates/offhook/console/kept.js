// @ts-check
/** One call that was kept: seen, heard, explained, asked what if. */
import { get, remove } from "./api.js";
import { clock, download, fill, h, icon, seconds } from "./dom.js";
import { when } from "./history.js";
import { rolesOf } from "./failures.js";
import { findings } from "./findings.js";
import { agentNamed, complain, toast } from "./main.js";
import { Panel } from "./panel.js";
import { Player } from "./player.js";
import { share } from "./share.js";
import { Story } from "./story.js";
import { Transcript } from "./transcript.js";
import { line, verdicts } from "./verdicts.js";
import { Wave } from "./wave.js";
import { whatIf } from "./what_if.js";

const FRAME = 160;

export class Kept {
  /** @param {string} sid @param {boolean} beside Another call stands beside it. */
  constructor(sid, beside) {
    this.sid = sid;
    const jump = (/** @type {number} */ ms) => this.player.play(ms);
    this.player = new Player(sid);
    this.story = new Story();
    this.transcript = new Transcript({ jump });
    this.wave = new Wave({ jump });
    this.wave.story = this.story;
    this.panel = new Panel();
    this.worst = h("div", { class: "worst", hidden: true });
    this.verdict = h("div", { class: "side" });
    this.side = h("div", { class: "side" });
    this.head = h("div", { class: "on-the-line" }, h("strong", {}, sid));
    this.play = h("button", { class: "round", type: "button", "aria-label": "Play", title: "Play", disabled: true }, icon("play"));
    this.play.addEventListener("click", () => (this.player.playing ? this.player.stop() : this.player.play()));
    this.time = h("span", { class: "clock" }, "0:00");
    this.controls = h("div", { class: "controls" }, this.play, this.time);
    this.player.addEventListener("time", (event) => this.at(/** @type {CustomEvent<number>} */ (event).detail));
    this.player.addEventListener("stop", () => this.icon("play", "Play"));
    this.element = h("div", { class: beside ? "kept beside" : "kept" }, h("section", { class: "card call-card", "aria-label": "The call" }, this.head, this.worst, this.wave.element, this.transcript.element, this.controls), h("div", { class: "panel", role: "region", "aria-label": "About the call", tabindex: "0" }, this.verdict, this.panel.element, this.side));
    this.load().catch(complain);
  }

  close() {
    this.player.close();
  }

  /** @param {string} drawing @param {string} label */
  icon(drawing, label) {
    fill(this.play, icon(drawing));
    this.play.setAttribute("aria-label", label);
  }

  /** @param {number} ms */
  at(ms) {
    this.icon("pause", "Pause");
    this.wave.cursor = ms;
    this.wave.draw();
    this.time.textContent = `${clock(ms)} / ${clock(this.player.length)}`;
  }

  async load() {
    const call = await get(`/v1/history/${this.sid}`);
    this.call = call;
    for (const event of call.events ?? []) this.story.take({ t_ms: found(event), ...event });
    if (this.story.items.length === 0) this.story.seed({ transcript: (call.turns ?? []).map((/** @type {any} */ turn) => ({ t_ms: turn.at_ms, ...turn })) });
    this.story.state = "over";
    this.transcript.update(this.story);
    this.panel.update(this.story);
    this.panel.costs(call);
    this.about(call);
    this.judge(call);
    try {
      await this.player.load();
      for (let at = 0; at < Math.max(this.player.caller.length, this.player.agent.length); at += FRAME) {
        this.wave.push(this.player.caller.subarray(at, at + FRAME), this.player.agent.subarray(at, at + FRAME));
      }
      this.play.disabled = false;
      if (this.player.caller.every((octet) => octet === 0xff || octet === 0x7f)) this.judge(call, true);
      this.time.textContent = clock(this.player.length);
    } catch {
      // A call of text, or one whose tape is gone.
      this.wave.element.hidden = true;
      this.time.textContent = "no sound was kept";
    }
    const story = await get(`/v1/tapes/${this.sid}`).catch(() => null);
    fill(this.side, story && why(story), story && whatIf(this.sid), facts(call));
  }

  /** What was bad about it: the worst above everything, all of it beside it. @param {any} call @param {boolean} [silent] Nothing came from the caller. */
  judge(call, silent = false) {
    const found = findings(this.story, call, { roles: rolesOf(agentNamed(call.agent)), silent });
    const jump = (/** @type {number} */ at) => this.player.play(at);
    fill(this.verdict, verdicts(found, jump));
    const [worst] = found;
    this.worst.hidden = worst?.tone !== "bad";
    if (worst) fill(this.worst, line(worst, jump));
  }

  /** @param {any} call */
  about(call) {
    const other = call.direction === "outbound" ? call.to : call.from;
    const verdict = call.outcome?.verdict;
    fill(
      this.head,
      h("a", { class: "to-list", href: "#/history", "aria-label": "All calls" }, icon("back")),
      h("strong", {}, other || "unknown"),
      h("span", { class: "with" }, `${call.direction === "outbound" ? "called by" : "with"} ${call.agent} · ${when(call.started_at_ms)}`),
      verdict && h("span", { class: `tag ${verdict}` }, verdict.replace("_", " ")),
    );
    const button = (/** @type {string} */ label, /** @type {string} */ drawing, /** @type {() => void} */ then, name = "") => h("button", { type: "button", class: name, onclick: then }, icon(drawing), label);
    this.controls.append(
      button("Share", "share", () => download(`${this.sid}.html`, share(this))),
      button("Delete", "trash", () => this.forget(), "danger"),
    );
  }

  async forget() {
    if (!confirm("Delete this call for good: its document, its tape and its sound?")) return;
    try {
      await remove(`/v1/history/${this.sid}`);
      toast("The call is deleted, everywhere.");
      location.hash = "#/history";
    } catch (error) {
      complain(error);
    }
  }
}

/** When an event was found out: a document says when it happened. @param {any} event */
const found = (event) => event.at_ms + (event.event === "barge_in" && event.stage === "suspected" ? event.after_ms : 0);

/** Why it went as it did, turn by turn: `offhook explain`. @param {{ chapters: { title: string, moments: { at_ms: number, who: string, what: string }[] }[] }} story */
function why(story) {
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Why"),
    story.chapters.map((chapter) => h("details", { class: "chapter" }, h("summary", {}, chapter.title), h("ol", { class: "moments" }, chapter.moments.map((moment) => h("li", {}, h("span", { class: "time" }, seconds(moment.at_ms)), h("span", { class: `who-${moment.who}` }, moment.who), h("span", {}, moment.what)))))),
  );
}

/** What else is known. @param {any} call */
function facts(call) {
  const usage = Object.entries(call.usage ?? {}).map(([name, used]) => [name, Object.entries(/** @type {any} */ (used)).filter(([, count]) => count).map(([what, count]) => `${count} ${what.replaceAll("_", " ")}`).join(", ")]);
  const tools = (call.tools ?? []).map((/** @type {any} */ tool) => [tool.name, `${tool.result}${tool.took_ms === undefined ? "" : ` after ${tool.took_ms} ms`}`]);
  const fields = Object.entries(call.outcome?.fields ?? {}).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
  const all = [["Id", call.id], ["Called", call.to], ["Language", call.language], ["Goal", call.goal], ["Evidence", call.outcome?.evidence], ...fields, ["Handed to", call.transferred_to], ...tools, ...usage, ["Trace", call.trace_id]].filter(([, value]) => value);
  return h("section", { class: "card" }, h("h2", {}, "Facts"), h("dl", { class: "pairs" }, all.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))));
}
