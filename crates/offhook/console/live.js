// @ts-check
/** Live: all calls that this server knows, newest first, and one of them as it happens. */
import { get, isLost } from "./api.js";
import { clock, fill, h, icon } from "./dom.js";
import { complain } from "./main.js";
import { Watch } from "./watch.js";

/** The list is asked for so often. */
const EVERY_MS = 1000;

/**
 * @typedef {{
 *   sid: string | null, direction: string, agent: string, to: string, from: string, status: string, talking: boolean,
 *   verdict: string | null, since: number, last?: { who: string, text: string }
 * }} Summary
 */

export class Live {
  constructor() {
    this.rows = h("ul", { class: "rows" });
    this.empty = h("div", { class: "nothing" }, icon("live", "large"), h("h2", {}, "No calls"), h("p", {}, "A call shows here as soon as it begins. Place one yourself: ", h("a", { href: "#/talk" }, "Talk"), "."));
    this.count = h("span", { class: "count" });
    this.only = h("input", { id: "only", type: "checkbox", checked: true, onchange: () => this.refresh() });
    this.list = h("section", { class: "card list", "aria-label": "Calls" }, this.rows, this.empty);
    this.detail = h("div", { class: "detail" });
    this.element = h("div", { class: "live" }, h("header", { class: "bar-top" }, h("h1", {}, "Live"), this.count, h("p", { class: "field check" }, this.only, h("label", { for: "only" }, "Only calls that run"))), h("div", { class: "halves" }, this.list, this.detail));
    /** @type {Map<string, { element: HTMLElement, key: string }>} */
    this.shown = new Map();
    /** @type {Watch | null} */
    this.watch = null;
    this.timer = 0;
  }

  /** @param {string} sid */
  show(sid) {
    this.refresh();
    clearInterval(this.timer);
    this.timer = window.setInterval(() => document.hidden || this.refresh(), EVERY_MS);
    if (this.watch?.sid === sid) return;
    this.watch?.close();
    this.watch = sid ? new Watch(sid) : null;
    this.element.classList.toggle("one", Boolean(sid));
    fill(this.detail, this.watch?.element ?? h("div", { class: "nothing" }, h("p", {}, "Choose a call to watch it as it happens, listen in, or reach into it.")));
    this.mark();
  }

  hide() {
    clearInterval(this.timer);
    this.watch?.close();
    this.watch = null;
  }

  async refresh() {
    try {
      const running = this.only.checked;
      const { calls } = await get(running ? "/calls?running=true" : "/calls");
      this.update(calls.filter((/** @type {Summary} */ call) => call.sid));
    } catch (error) {
      if (!isLost(error)) clearInterval(this.timer);
      complain(error);
    }
  }

  /** Rows that have not changed are left alone: there may be hundreds. @param {Summary[]} calls */
  update(calls) {
    const talking = calls.filter((call) => call.talking).length;
    this.count.textContent = talking === 1 ? "1 call is talked on" : `${talking} calls are talked on`;
    this.empty.hidden = calls.length > 0;
    const now = Date.now() / 1000;
    const wanted = new Set();
    /** @type {HTMLElement | null} */
    let before = null;
    for (const call of calls) {
      const sid = call.sid ?? "";
      wanted.add(sid);
      const age = call.talking ? clock((now - call.since) * 1000) : call.status;
      const key = JSON.stringify([call.talking, call.last?.text, call.status, call.verdict]);
      const shown = this.shown.get(sid);
      let element = shown?.element;
      if (!element || shown?.key !== key) {
        const fresh = row(call);
        element?.replaceWith(fresh);
        element = fresh;
        this.shown.set(sid, { element, key });
      }
      const time = element.querySelector(".age");
      if (time && time.textContent !== age) time.textContent = age;
      /** @type {ChildNode | null} */
      const place = before ? before.nextSibling : this.rows.firstChild;
      if (place !== element) this.rows.insertBefore(element, place);
      before = element;
    }
    for (const [sid, { element }] of this.shown) {
      if (wanted.has(sid)) continue;
      element.remove();
      this.shown.delete(sid);
    }
    this.mark();
  }

  mark() {
    for (const [sid, { element }] of this.shown) {
      const link = element.querySelector("a");
      if (sid === this.watch?.sid) link?.setAttribute("aria-current", "true");
      else link?.removeAttribute("aria-current");
    }
  }
}

/** @param {Summary} call */
function row(call) {
  const other = call.direction === "outbound" ? call.to : call.from;
  return h(
    "li",
    {},
    h(
      "a",
      { href: `#/live/${call.sid}`, class: call.talking ? "talking" : "" },
      h("span", { class: "dot", "aria-hidden": "true" }),
      h("span", { class: "number" }, other || "unknown"),
      h("span", { class: "with" }, `${call.direction === "outbound" ? "called by" : "with"} ${call.agent}`),
      h("span", { class: "age" }),
      h("span", { class: `last ${call.last?.who ?? ""}` }, call.last?.text ?? (call.talking ? "…" : call.verdict ?? "")),
    ),
  );
}
