// @ts-check
/** What if the settings had been others: the caller calls again, in the server, in a moment. */
import { post } from "./api.js";
import { fill, h } from "./dom.js";

/** The settings that matter most; any other of `[call]` may be typed. */
const SETTINGS = [
  ["turn.min_silence", "Pause after a whole sentence"],
  ["turn.plain", "Pause after words that say nothing"],
  ["turn.unfinished", "Pause after words that trail off"],
  ["turn.max_silence", "Longest pause"],
];

/** @typedef {{ turns: [number, string][], cut_offs: number[], decided_ms: number[], answered_ms: number[], interruptions: number[], resumed: number[] }} Outcome */

/** @param {string} sid */
export function whatIf(sid) {
  const fields = SETTINGS.map(([name = "", label = ""]) => ({ name, label, input: h("input", { placeholder: "as it was", id: `if-${sid}-${name}`, autocomplete: "off", size: "8" }) }));
  const other = h("input", { placeholder: "setting=value", "aria-label": "Another setting", autocomplete: "off" });
  const result = h("div", { role: "status", "aria-live": "polite" });
  const run = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const set = fields.filter(({ input }) => input.value.trim()).map(({ name, input }) => `${name}=${input.value.trim()}`);
    if (other.value.trim()) set.push(other.value.trim());
    fill(result, h("p", { class: "about" }, "The caller calls again …"));
    try {
      fill(result, table(await post(`/v1/tapes/${sid}/what-if`, { set })));
    } catch (error) {
      fill(result, h("p", { class: "findings" }, String(error instanceof Error ? error.message : error)));
    }
  };
  return h(
    "section",
    { class: "card what-if" },
    h("h2", {}, "What if"),
    h("form", { onsubmit: run }, fields.map(({ label, input }) => h("p", { class: "field" }, h("label", { for: input.id }, label), input)), h("p", { class: "field" }, other, h("button", { class: "primary", type: "submit" }, "Call again"))),
    result,
  );
}

/** @param {Record<string, Outcome>} ways */
function table(ways) {
  const median = (/** @type {number[]} */ times) => {
    const sorted = [...times].sort((a, b) => a - b);
    return sorted.length > 0 ? `${sorted[Math.floor((sorted.length - 1) / 2)]} ms` : "–";
  };
  /** @type {[string, (outcome: Outcome) => string | number][]} */
  const rows = [
    ["Turns answered", (outcome) => outcome.turns.length],
    ["Cut off", (outcome) => outcome.cut_offs.length],
    ["End decided after", (outcome) => median(outcome.decided_ms)],
    ["Answered after", (outcome) => median(outcome.answered_ms)],
    ["Interruptions", (outcome) => outcome.interruptions.length],
    ["False ones", (outcome) => outcome.resumed.length],
  ];
  const names = ["taped", "again", "changed"].filter((name) => ways[name]);
  const labels = /** @type {Record<string, string>} */ ({ taped: "was", again: "this build", changed: "changed" });
  return h("table", { class: "ways" }, h("thead", {}, h("tr", {}, h("td", {}), names.map((name) => h("th", { scope: "col" }, labels[name] ?? name)))), h("tbody", {}, rows.map(([name, figure]) => h("tr", {}, h("th", { scope: "row" }, name), names.map((way) => h("td", {}, ways[way] ? figure(/** @type {Outcome} */ (ways[way])) : ""))))));
}
