// @ts-check
/** Talk: a call to one's own agent, from the browser. */
import { ApiError, events, get, speech } from "./api.js";
import { clock, download, fill, h, icon } from "./dom.js";
import { LINES } from "./line.js";
import { complain } from "./main.js";
import { level } from "./mulaw.js";
import { Panel } from "./panel.js";
import { Phone } from "./phone.js";
import { Take } from "./scenario.js";
import { Story } from "./story.js";
import { Transcript } from "./transcript.js";
import { Wave } from "./wave.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
/** So much of the call is seen at once while it lasts. */
const SPAN_MS = 12_000;

export class Talk {
  /** @param {import("./main.js").Server} server */
  constructor(server) {
    this.server = server;
    /** @type {Phone | null} */
    this.phone = null;
    this.muted = false;
    this.busy = false;
    this.settings = this.form();
    this.stage = h("div", { class: "stage" });
    this.panel = new Panel();
    this.element = h("div", { class: "talk" }, h("div", { class: "column" }, h("header", { class: "bar-top" }, h("h1", {}, "Talk"), this.settings), this.stage), this.panel.element);
    document.addEventListener("keydown", (event) => this.onKey(event));
    this.idle();
  }

  /** @param {string} agent Whom to call. */
  show(agent) {
    if (agent && this.agent && !this.phone) this.agent.value = agent;
  }
  hide() {}

  /** What the call is to be. */
  form() {
    const option = (/** @type {string} */ value, /** @type {string} */ label) => h("option", { value }, label);
    this.agent = h("select", { id: "agent" }, this.server.agents.map((agent) => option(agent.name, agent.transport === "media-streams" ? agent.name : `${agent.name} (text only)`)));
    this.line = h("select", { id: "line", onchange: () => this.phone?.wish({ do: "line", kind: /** @type {any} */ (this.line?.value) }) }, Object.entries(LINES).map(([value, label]) => option(value, label)));
    this.from = h("input", { id: "from", type: "tel", value: "+14155550100", autocomplete: "off" });
    this.to = h("input", { id: "to", type: "tel", value: "+14155550101", autocomplete: "off" });
    this.goal = h("input", { id: "goal", placeholder: "none", autocomplete: "off" });
    this.parameters = h("textarea", { id: "parameters", rows: "2", placeholder: "name=value, one a line", spellcheck: "false" });
    this.echo = h("input", { id: "echo", type: "checkbox", role: "switch", checked: true });
    const field = (/** @type {string} */ id, /** @type {string} */ label, /** @type {HTMLElement} */ input) => h("p", { class: "field" }, h("label", { for: id }, label), input);
    return h(
      "form",
      { class: "settings", onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
      field("agent", "Agent", this.agent),
      field("line", "Line", this.line),
      h(
        "details",
        {},
        h("summary", {}, icon("settings"), "More"),
        h("div", { class: "more" }, field("from", "Caller", this.from), field("to", "Number called", this.to), field("goal", "Goal", this.goal), field("parameters", "Parameters", this.parameters), h("p", { class: "field check" }, this.echo, h("label", { for: "echo" }, "Echo cancellation of the browser"))),
      ),
    );
  }

  /** Nobody is on the line. @param {string} [why] Why a call did not come about. */
  idle(why = "") {
    const typing = h("button", { class: "quiet wide", type: "button", onclick: () => this.call(false) }, "Call without a microphone, and type");
    const call = h("button", { class: "call", type: "button", onclick: () => this.call(true), "aria-label": "Call, with the microphone" }, icon("phone"));
    fill(
      this.stage,
      h(
        "div",
        { class: "hero" },
        why && h("p", { class: "failed", role: "alert" }, icon("warning"), h("span", {}, why)),
        h("div", { class: "ring" }, call),
        h("h2", {}, "Press, and speak"),
        h("p", {}, "Your browser is the telephone: it plays Twilio, with the same webhook, the same socket and the same 8 kHz. Wear headphones, or leave echo cancellation on."),
        typing,
        h("p", { class: "tip" }, "Interrupt the agent in the middle of a sentence. What you did not hear is struck out."),
      ),
    );
  }

  /** @param {boolean} microphone */
  async call(microphone) {
    if (this.busy) return;
    this.busy = true;
    const story = new Story();
    const take = new Take(story);
    const phone = new Phone({
      agent: this.agent?.value, from: this.from?.value.trim(), to: this.to?.value.trim(), goal: this.goal?.value.trim() || undefined,
      parameters: pairs(this.parameters?.value ?? ""), microphone, echoCancellation: this.echo?.checked ?? true, line: /** @type {any} */ (this.line?.value ?? "clean"),
    });
    this.phone = phone;
    this.muted = false;
    const abort = new AbortController();
    this.onTheLine(phone, story, microphone);
    phone.addEventListener("announced", (event) => {
      const call = /** @type {CustomEvent<import("./phone.js").Announced>} */ (event).detail;
      take.call = call;
      this.watch(call.sid, story, abort.signal).catch((error) => abort.signal.aborted || complain(error));
    });
    phone.addEventListener("found", (event) => this.panel.find(/** @type {CustomEvent<string>} */ (event).detail));
    phone.addEventListener("tick", (event) => this.tick(/** @type {CustomEvent<import("./worklet.js").Tick>} */ (event).detail, take));
    phone.addEventListener("key", (event) => take.key(/** @type {CustomEvent<string>} */ (event).detail));
    phone.addEventListener("end", (event) => {
      const { by, next } = /** @type {CustomEvent<{ by: string, next: string }>} */ (event).detail;
      // The call's last events are still on their way.
      setTimeout(() => abort.abort(), 1500);
      this.after(story, take, by, next);
    });
    try {
      await phone.place();
      this.typed?.focus();
    } catch (error) {
      abort.abort();
      this.phone = null;
      this.panel.none();
      this.idle(error instanceof Error ? error.message : String(error));
      if (error instanceof ApiError && error.status === 401) complain(error);
    } finally {
      this.busy = false;
    }
  }

  /** The call as the server tells it. @param {string} sid @param {Story} story @param {AbortSignal} signal */
  async watch(sid, story, signal) {
    for await (const { name, data } of events(`/calls/${sid}/events`, signal)) {
      if (name === "call") story.take(data);
      if (name === "over") {
        story.state = "over";
        this.panel.over(await get(`/calls/${sid}`).catch(() => null), story);
      }
      this.transcript?.update(story);
      this.panel.update(story);
      this.wave?.draw();
    }
  }

  /** @param {Phone} phone @param {Story} story @param {boolean} microphone */
  onTheLine(phone, story, microphone) {
    this.panel.begin(story);
    this.transcript = new Transcript({ live: true });
    this.wave = new Wave({ span: SPAN_MS });
    this.wave.story = story;
    this.timer = h("span", { class: "clock" }, "0:00");
    this.typed = h("input", { class: "typed", placeholder: "Type what the caller says", "aria-label": "Type what the caller says", autocomplete: "off", maxlength: "500" });
    const mute = h("button", { class: "round", type: "button", "aria-pressed": "false", "aria-label": "Mute", title: "Mute" }, icon("mic"));
    mute.addEventListener("click", () => {
      this.muted = !this.muted;
      phone.wish({ do: "mute", muted: this.muted });
      mute.setAttribute("aria-pressed", String(this.muted));
      fill(mute, icon(this.muted ? "mute" : "mic"));
    });
    this.keypad = h("div", { class: "keypad", role: "group", "aria-label": "Keypad", hidden: true }, KEYS.map((digit) => h("button", { type: "button", onclick: () => phone.press(digit) }, digit)));
    const keys = h("button", { class: "round", type: "button", "aria-expanded": "false", "aria-label": "Keypad", title: "Keypad" }, icon("keypad"));
    keys.addEventListener("click", () => {
      if (this.keypad) this.keypad.hidden = !this.keypad.hidden;
      keys.setAttribute("aria-expanded", String(!this.keypad?.hidden));
    });
    const say = async (/** @type {Event} */ event) => {
      event.preventDefault();
      const text = this.typed?.value.trim();
      if (!text || !this.typed) return;
      this.typed.value = "";
      await speech(text).then((octets) => phone.wish({ do: "say", octets })).catch(complain);
    };
    const hangUp = h("button", { class: "hang-up", type: "button", onclick: () => phone.hangUp() }, icon("phone"), h("span", {}, "Hang up"));
    this.controls = h("div", { class: "controls" }, this.keypad, microphone && mute, keys, h("form", { class: "say", onsubmit: say }, this.typed, h("button", { class: "round", type: "submit", "aria-label": "Say it", title: "Say it" }, icon("send"))), hangUp);
    this.banner = h("div", { class: "on-the-line" }, h("span", { class: "pulse" }), h("strong", {}, this.agent?.value ?? ""), this.timer);
    fill(this.stage, h("section", { class: "card call-card", "aria-label": "The call" }, this.banner, this.wave.element, this.transcript.element, this.controls));
  }

  /** 20 ms. @param {import("./worklet.js").Tick} tick @param {Take} take */
  tick(tick, take) {
    take.tick(tick);
    this.wave?.push(tick.spoken, tick.heard);
    if (take.frames % 5 === 0) this.panel.levels(level(tick.spoken), level(tick.heard), tick.waiting);
    if (this.timer && take.frames % 50 === 0) this.timer.textContent = clock(take.frames * 20);
    this.panel.holes = tick.gaps;
  }

  /** @param {Story} story @param {Take} take @param {string} by @param {string} next */
  after(story, take, by, next) {
    this.phone = null;
    this.panel.levels(-127, -127, 0);
    this.wave && (this.wave.span = 0);
    this.wave?.draw();
    const how = by === "caller" ? "You hung up" : by === "loss" ? "The connection to the server was lost" : next && next !== "Hangup" ? `The agent left the stream; Twilio goes on with ${next}` : "The agent hung up";
    const again = h("button", { class: "primary", type: "button", onclick: () => this.idle() }, icon("phone"), "Call again");
    const save = (/** @type {string} */ label, /** @type {string} */ name, /** @type {() => Blob} */ make) => h("button", { type: "button", onclick: () => download(name, make()) }, icon("save"), label);
    if (this.banner) fill(this.banner, h("strong", {}, `${how}.`), h("span", { class: "clock" }, clock(take.frames * 20)));
    if (this.controls) fill(this.controls, again, save("Save as a test", "caller.zip", () => take.zip()), save("Save the sound", "call.wav", () => take.wav()), h("p", { class: "about" }, "A test has the caller say the same again: ", h("code", {}, "offhook call … --caller caller.toml")));
    this.transcript?.toEnd();
    again.focus();
    if (by === "loss") story.state = "over";
    this.panel.update(story);
  }

  /** The keyboard's digits are the keypad's, where nothing is typed. @param {KeyboardEvent} event */
  onKey(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (!this.phone || event.ctrlKey || event.metaKey || event.altKey || target.matches("input, textarea, select")) return;
    if (KEYS.includes(event.key)) this.phone.press(event.key);
  }
}

/** Lines of `name=value`. @param {string} text @returns {Record<string, string>} */
export function pairs(text) {
  /** @type {Record<string, string>} */
  const found = {};
  for (const line of text.split("\n")) {
    const at = line.indexOf("=");
    if (at > 0) found[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return found;
}
