// @ts-check
/** History: the calls that were kept; found, shown, compared. */
import { get, isLost } from "./api.js";
import { clock, fill, h, icon } from "./dom.js";
import { complain } from "./main.js";
import { Kept } from "./kept.js";
import { Rows } from "./rows.js";
import { ENDS } from "./story.js";

/** Typing is over when nothing was typed for so long. */
const AFTER_MS = 300;
/** Calls that are asked for at once. */
const PAGE = 100;
/** New calls are looked for so often. */
const EVERY_MS = 4000;

/**
 * @typedef {{
 *   id: string, state: string, agent: string, direction: string, from: string, to: string, status: string, ended: string | null,
 *   verdict: string | null, started_at: string, started_at_ms: number, duration_ms: number | null, turns: number,
 *   interruptions: number, errors: number, answer_p50_ms: number | null, answer_p95_ms: number | null, cost: number | null
 * }} Listed
 */

export class History {
  constructor() {
    this.timer = 0;
    const soon = () => {
      clearTimeout(this.timer);
      this.timer = window.setTimeout(() => this.search(), AFTER_MS);
    };
    const now = () => this.search();
    this.words = h("input", { type: "search", placeholder: "Words that were said", "aria-label": "Words that were said", oninput: soon });
    this.number = h("input", { type: "search", placeholder: "Number, or +1415*", "aria-label": "Number", oninput: soon });
    this.agent = h("input", { type: "search", placeholder: "Agent", "aria-label": "Agent", oninput: soon });
    this.verdict = h("select", { "aria-label": "Verdict", onchange: now }, ["", "achieved", "refused", "no_answer", "voicemail", "failed"].map((name) => h("option", { value: name }, name === "" ? "Any verdict" : name.replace("_", " "))));
    this.slow = h("select", { "aria-label": "Answer times", onchange: now }, [["", "Any answer time"], ["800", "Slower than 0.8 s"], ["1500", "Slower than 1.5 s"], ["3000", "Slower than 3 s"]].map(([value, label]) => h("option", { value }, label)));
    this.errors = h("input", { type: "checkbox", id: "errors", onchange: now });
    this.filters = h("form", { class: "filters", role: "search", onsubmit: (/** @type {Event} */ event) => event.preventDefault() }, this.words, this.number, this.agent, this.verdict, this.slow, h("p", { class: "field check" }, this.errors, h("label", { for: "errors" }, "With errors")));
    this.table = h("table", { class: "calls" }, h("caption", { class: "unseen" }, "Calls, newest first"), h("thead", {}, h("tr", {}, ["", "When", "Number", "Agent", "Length", "Turns", "Answers", "", "Came of it"].map((name) => h("th", { scope: "col" }, name || h("span", { class: "unseen" }, "Chosen"))))));
    this.empty = h("div", { class: "nothing", hidden: true });
    this.compare = h("button", { type: "button", hidden: true, onclick: () => (location.hash = `#/history/${[...this.chosen].join("/")}`) }, "Compare the two");
    this.found = h("section", { class: "card found", "aria-label": "Calls", tabindex: "0" }, this.table, this.empty);
    /** @type {Rows<Listed>} */
    this.rows = new Rows(this.found, this.table, { key: (call) => call.id, make: (call) => this.row(call), end: () => this.older() });
    /** @type {Listed[]} */
    this.calls = [];
    this.asking = false;
    this.polls = 0;
    /** The call that was shown last. */
    this.from = "";
    this.head = h("header", { class: "bar-top" }, h("h1", {}, "History"), this.compare);
    this.element = h("div", { class: "history" });
    this.next = "";
    this.asked = 0;
    /** @type {Set<string>} */
    this.chosen = new Set();
    /** @type {Kept[]} */
    this.kept = [];
  }

  /** @param {string} rest One call's SID, or two. */
  show(rest) {
    this.kept.splice(0).forEach((kept) => kept.close());
    clearInterval(this.polls);
    const sids = rest.split("/").filter(Boolean);
    this.element.classList.toggle("two", sids.length > 1);
    if (sids.length === 0) {
      this.chosen.clear();
      this.compare.hidden = true;
      fill(this.element, this.head, this.filters, this.found);
      this.search();
      this.polls = window.setInterval(() => document.hidden || this.newer(), EVERY_MS);
      return;
    }
    this.kept = sids.slice(0, 2).map((sid) => new Kept(sid, sids.length > 1));
    const title = h("h1", { class: "unseen", tabindex: "-1" }, sids.length > 1 ? "Two calls" : "A call");
    fill(this.element, title, this.kept.map((kept) => kept.element));
    // The link that led here is gone: who has no mouse goes on from here, and later from the call's row.
    title.focus();
    this.from = sids[0] ?? "";
  }

  hide() {
    clearInterval(this.polls);
    this.kept.splice(0).forEach((kept) => kept.close());
  }

  search() {
    this.found.scrollTop = 0;
    this.ask("");
  }

  /** The end of what is known comes near. */
  older() {
    if (this.next && !this.asking) this.ask(this.next);
  }

  /** Calls that are new stand on top; where somebody has scrolled to older ones, nothing moves. */
  newer() {
    if (!this.asking && this.found.scrollTop === 0) this.ask("");
  }

  /** Asks for a page. @param {string} after The last call of the page before; empty: the first. */
  async ask(after) {
    this.asked += 1;
    this.asking = true;
    if (this.calls.length === 0) this.nothing("Looking for calls …");
    const nth = this.asked;
    const query = new URLSearchParams({ limit: String(PAGE) });
    const set = (/** @type {string} */ name, /** @type {string} */ value) => value.trim() && query.set(name, value.trim());
    set("words", this.words.value);
    set("number", this.number.value);
    set("agent", this.agent.value);
    set("verdict", this.verdict.value);
    set("slower_than_ms", this.slow.value);
    if (this.errors.checked) query.set("errors", "true");
    set("after", after);
    try {
      const { calls, next } = await get(`/v1/history?${query}`);
      if (nth !== this.asked) return;
      this.calls = after ? this.calls.concat(calls) : calls;
      this.next = next ?? "";
      this.asking = false;
      this.nothing(this.calls.length > 0 ? "" : this.filtered() ? "No such call was kept." : "No call was kept yet. One stands here as soon as it is over.");
      this.rows.set(this.calls);
      this.comeBack();
    } catch (error) {
      if (nth !== this.asked) return;
      this.asking = false;
      if (isLost(error) && this.calls.length > 0) return;
      const off = /** @type {any} */ (error).code === "off" || /** @type {any} */ (error).status === 404;
      if (!isLost(error)) clearInterval(this.polls);
      this.next = "";
      this.rows.set((this.calls = []));
      this.nothing(off ? "This server keeps no calls. Start it with --record calls." : "The calls can't be shown.");
      if (!off) complain(error);
    }
  }

  /** Who comes back from a call stands where they left. */
  comeBack() {
    if (document.activeElement === document.body) this.rows.shown.get(this.from)?.element.querySelector("a")?.focus();
    this.from = "";
  }

  /** Whether not all calls are asked for. */
  filtered() {
    return [this.words, this.number, this.agent, this.verdict, this.slow].some((field) => field.value.trim() !== "") || this.errors.checked;
  }

  /** @param {string} why */
  nothing(why) {
    this.empty.hidden = !why;
    this.table.hidden = Boolean(why);
    fill(this.empty, icon("history", "large"), h("p", {}, why));
  }

  /** @param {Listed} call */
  row(call) {
    const other = call.direction === "outbound" ? call.to : call.from;
    const box = h("input", { type: "checkbox", "aria-label": `Compare the call of ${other || "unknown"}`, checked: this.chosen.has(call.id) });
    box.addEventListener("change", () => {
      if (box.checked) this.chosen.add(call.id);
      else this.chosen.delete(call.id);
      this.compare.hidden = this.chosen.size !== 2;
    });
    const flag = (/** @type {number} */ count, /** @type {string} */ name, /** @type {string} */ drawing) => count > 0 && h("span", { class: `flag ${drawing}`, title: `${count} ${name}` }, icon(drawing), count, h("span", { class: "unseen" }, ` ${name}`));
    const times = call.answer_p50_ms === null || call.answer_p50_ms === undefined ? "–" : `${call.answer_p50_ms} / ${call.answer_p95_ms} ms`;
    const came = call.state === "lost" ? "lost: the server broke off" : (call.verdict ?? ENDS[call.ended ?? ""] ?? call.ended?.replaceAll("_", " ") ?? call.status);
    return h(
      "tr",
      {},
      h("td", {}, box),
      h("td", {}, h("a", { href: `#/history/${call.id}` }, when(call.started_at_ms))),
      h("td", { class: "number" }, other || "unknown"),
      h("td", {}, call.agent),
      h("td", { class: "figure-cell" }, call.duration_ms ? clock(call.duration_ms) : "–"),
      h("td", { class: "figure-cell" }, call.turns),
      h("td", { class: "figure-cell", title: "Median and 95th percentile" }, times),
      h("td", {}, flag(call.interruptions, "interruptions", "bolt"), flag(call.errors, "errors", "warning")),
      h("td", { title: came }, came),
    );
  }
}

/** A moment as people say it. @param {number} ms Since 1970. */
export function when(ms) {
  const date = new Date(ms);
  const today = date.toDateString() === new Date().toDateString();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: today ? "2-digit" : undefined });
  return today ? time : `${date.toLocaleDateString([], { day: "numeric", month: "short" })} ${time}`;
}
