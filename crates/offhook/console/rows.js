// @ts-check
/** A table's rows, of which there may be tens of thousands: those that can be seen are in the page, and what is above and below them is room. */
import { h } from "./dom.js";

/** Rows are made so many above and below what is seen. */
const AROUND = 12;

/** @template T */
export class Rows {
  /**
   * @param {HTMLElement} scroller What scrolls the table.
   * @param {HTMLTableElement} table
   * @param {{ key: (item: T) => string, make: (item: T) => HTMLTableRowElement, end: () => void }} how `end`: the last row is near.
   */
  constructor(scroller, table, how) {
    this.scroller = scroller;
    this.table = table;
    this.how = how;
    /** @type {T[]} */
    this.items = [];
    /** Rows that are in the page, with what they show. @type {Map<string, { shows: string, element: HTMLTableRowElement }>} */
    this.shown = new Map();
    this.above = h("tr", { class: "room", "aria-hidden": "true" });
    this.below = h("tr", { class: "room", "aria-hidden": "true" });
    this.body = h("tbody", {}, this.above, this.below);
    table.append(this.body);
    /** Of one row; measured. */
    this.height = 43;
    this.pending = false;
    scroller.addEventListener("scroll", () => this.soon(), { passive: true });
    new ResizeObserver(() => this.soon()).observe(scroller);
  }

  /** Shows these. @param {T[]} items */
  set(items) {
    this.items = items;
    this.paint();
  }

  soon() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.paint();
    });
  }

  paint() {
    const { items, height, scroller } = this;
    const first = Math.max(0, Math.floor(scroller.scrollTop / height) - AROUND);
    const last = Math.min(items.length, Math.ceil((scroller.scrollTop + (scroller.clientHeight || 800)) / height) + AROUND);
    const wanted = new Set();
    /** @type {Element} */
    let before = this.above;
    for (let at = first; at < last; at += 1) {
      const item = /** @type {T} */ (items[at]);
      const key = this.how.key(item);
      wanted.add(key);
      const shows = JSON.stringify(item);
      let row = this.shown.get(key);
      if (row?.shows !== shows) {
        const element = this.how.make(item);
        row?.element.replaceWith(element);
        row = { shows, element };
        this.shown.set(key, row);
      }
      row.element.setAttribute("aria-rowindex", String(at + 2));
      if (before.nextElementSibling !== row.element) before.after(row.element);
      before = row.element;
    }
    for (const [key, { element }] of this.shown) {
      if (wanted.has(key)) continue;
      element.remove();
      this.shown.delete(key);
    }
    this.above.style.height = `${first * height}px`;
    this.below.style.height = `${(items.length - last) * height}px`;
    this.table.setAttribute("aria-rowcount", String(items.length + 1));
    const real = before === this.above ? 0 : before.getBoundingClientRect().height;
    if (real > 0 && Math.abs(real - height) > 0.5) {
      this.height = real;
      this.soon();
    }
    if (last >= items.length - AROUND) this.how.end();
  }
}
