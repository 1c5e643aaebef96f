// @ts-check
/** One call as it happens: watched, listened to, reached into. */
import { events, get, isLost, post, remove } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { Ear } from "./ear.js";
import { complain, toast } from "./main.js";
import { level } from "./mulaw.js";
import { Panel } from "./panel.js";
import { Story } from "./story.js";
import { Transcript } from "./transcript.js";
import { Wave } from "./wave.js";

const SPAN_MS = 20_000;
/** After a loss the connection is tried again so often. */
const AGAIN_MS = 2000;

export class Watch {
  /** @param {string} sid */
  constructor(sid) {
    this.sid = sid;
    this.story = new Story();
    this.abort = new AbortController();
    this.transcript = new Transcript({ live: true });
    this.panel = new Panel();
    this.wave = new Wave({ span: SPAN_MS });
    this.wave.story = this.story;
    this.wave.element.hidden = this.panel.meters.hidden = true;
    /** @type {Ear | null} */
    this.ear = null;
    this.head = h("div", { class: "on-the-line" }, h("strong", {}, sid));
    this.controls = this.reach();
    this.element = h("div", { class: "watch" }, h("section", { class: "card call-card", "aria-label": "The call" }, this.head, this.wave.element, this.transcript.element, this.controls), this.panel.element);
    this.keepOn();
  }

  close() {
    this.abort.abort();
    this.ear?.close();
  }

  /** Follows the call to its end; where the connection is lost, again from what the server knows then. */
  async keepOn() {
    const { signal } = this.abort;
    while (!signal.aborted) {
      try {
        return await this.follow();
      } catch (error) {
        if (signal.aborted) return;
        if (!isLost(error)) return complain(error);
        await new Promise((done) => setTimeout(done, AGAIN_MS));
        this.story = this.wave.story = new Story();
        const fresh = new Transcript({ live: true });
        this.transcript.element.replaceWith(fresh.element);
        this.transcript = fresh;
      }
    }
  }

  async follow() {
    for await (const { name, data } of events(`/calls/${this.sid}/events`, this.abort.signal)) {
      if (name === "snapshot") {
        this.story.seed(data);
        this.about(data);
      } else if (name === "call") this.story.take(data);
      else if (name === "lagged") toast(`${data.missed} events of this call were missed.`, "bad");
      else if (name === "taken_over") this.taken(data.on);
      else if (name === "outcome") this.story.note(this.story.at, `Outcome: ${data.verdict}${data.evidence ? `, ${data.evidence}` : ""}`);
      else if (name === "over") {
        this.story.state = "over";
        this.controls.hidden = true;
        this.ear?.close();
        const call = await get(`/calls/${this.sid}`).catch(() => null);
        if (call) this.about(call);
        this.panel.over(call, this.story);
      }
      this.transcript.update(this.story);
      this.panel.update(this.story);
      this.wave.draw();
    }
  }

  /** Whether a person answers. @param {boolean} on */
  taken(on) {
    this.seat?.setAttribute("aria-pressed", String(on));
    if (this.text) this.text.placeholder = on ? "Answer the caller …" : "Have the agent say …";
  }

  /** @param {any} call */
  about(call) {
    this.taken(Boolean(call.taken_over));
    const parameters = Object.entries(call.parameters ?? {}).map(([name, value]) => `${name}=${value}`).join(", ");
    this.controls.hidden = !call.talking;
    fill(
      this.head,
      h("a", { class: "back", href: "#/live", "aria-label": "All calls" }, icon("back")),
      call.talking && h("span", { class: "pulse" }),
      h("strong", {}, call.direction === "outbound" ? call.to : call.from || "unknown"),
      h("span", { class: "with" }, `${call.direction === "outbound" ? "called by" : "with"} ${call.agent}${call.language ? ` · ${call.language}` : ""}`),
      call.goal && h("span", { class: "with" }, `Goal: ${call.goal}`),
      parameters && h("span", { class: "with" }, parameters),
      h("span", { class: "clock" }, call.talking ? "" : call.status),
    );
  }

  /** What can be done to a call. */
  reach() {
    const text = (this.text = h("input", { placeholder: "Have the agent say …", "aria-label": "Have the agent say", maxlength: "2000", autocomplete: "off" }));
    const say = (/** @type {Event} */ event) => {
      event.preventDefault();
      if (!text.value.trim()) return;
      this.tell("say", { text: text.value.trim() }, "It will be said next.");
      text.value = "";
    };
    const listen = h("button", { class: "round", type: "button", "aria-pressed": "false", "aria-label": "Listen in", title: "Listen in" }, icon("ear"));
    const side = h("select", { "aria-label": "Whom to hear", hidden: true }, ["both", "caller", "agent"].map((name) => h("option", { value: name }, name === "both" ? "Both" : `The ${name}`)));
    side.addEventListener("change", () => this.ear?.choose(side.value));
    listen.addEventListener("click", async () => {
      const on = !this.ear;
      if (on) await this.listen(side.value).catch(complain);
      else this.deafen();
      listen.setAttribute("aria-pressed", String(Boolean(this.ear)));
      side.hidden = !this.ear;
    });
    const ask = (/** @type {string} */ label, /** @type {string} */ drawing, /** @type {string} */ hint, /** @type {string} */ pattern, /** @type {(value: string) => void} */ then) => {
      const field = h("input", { placeholder: hint, "aria-label": label, pattern, required: true, autocomplete: "off" });
      const form = h("form", { class: "pop", hidden: true }, field, h("button", { class: "primary", type: "submit" }, label));
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        then(field.value.trim());
        field.value = "";
        form.hidden = true;
      });
      form.addEventListener("keydown", (event) => event.key === "Escape" && (form.hidden = true));
      const open = h("button", { class: "round", type: "button", "aria-label": label, title: label }, icon(drawing));
      open.addEventListener("click", () => {
        form.hidden = !form.hidden;
        if (!form.hidden) field.focus();
      });
      return h("div", { class: "pops" }, open, form);
    };
    this.seat = h("button", { type: "button", "aria-pressed": "false" }, "Take over");
    this.seat.addEventListener("click", () => {
      const on = this.seat?.getAttribute("aria-pressed") !== "true";
      this.tell("take-over", { on }, on ? "The model is not asked any more: what you type answers the caller." : "The model answers again.");
    });
    const hangUp = h("button", { class: "hang-up", type: "button" }, icon("phone"), h("span", {}, "Hang up"));
    hangUp.addEventListener("click", () => remove(`/calls/${this.sid}`).then(() => toast("The call ends after what is being said.")).catch(complain));
    return h(
      "div",
      { class: "controls" },
      listen,
      side,
      h("form", { class: "say", onsubmit: say }, text, h("button", { class: "round", type: "submit", "aria-label": "Say it", title: "Say it" }, icon("send"))),
      ask("Press keys", "keypad", "0-9 * # A-D", "[0-9*#A-Da-d]{1,64}", (digits) => this.tell("dtmf", { digits: digits.toUpperCase() }, "The keys will be sent.")),
      ask("Transfer", "transfer", "+14155550100", "\\+[1-9][0-9]{7,14}", (to) => this.tell("transfer", { to }, "The caller will be handed over.")),
      this.seat,
      hangUp,
    );
  }

  /** @param {string} what @param {unknown} body @param {string} done */
  tell(what, body, done) {
    return post(`/calls/${this.sid}/${what}`, body).then(() => toast(done)).catch(complain);
  }

  /** @param {string} side */
  async listen(side) {
    let frames = 0;
    const tick = (/** @type {Uint8Array} */ caller, /** @type {Uint8Array} */ agent) => {
      this.wave.push(caller, agent);
      frames += 1;
      if (frames % 5 === 0) this.panel.levels(level(caller), level(agent), 0);
    };
    this.wave.restart();
    this.ear = new Ear(this.sid, tick, (ms) => (this.wave.base = ms));
    this.wave.element.hidden = this.panel.meters.hidden = false;
    await this.ear.open(side);
  }

  deafen() {
    this.ear?.close();
    this.ear = null;
  }
}
