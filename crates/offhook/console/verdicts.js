// @ts-check
/** What was bad about a call, for people to read. */
import { h, icon, seconds, ticked } from "./dom.js";

/** @typedef {import("./findings.js").Finding} Finding */

/** One of them, with where to hear it. @param {Finding} finding @param {(ms: number) => void} [jump] */
export function line({ text, at }, jump) {
  const where = at !== null && (jump ? h("button", { class: "time", type: "button", "aria-label": `Hear from ${seconds(at)}`, onclick: () => jump(at) }, seconds(at)) : h("span", { class: "time" }, seconds(at)));
  return [icon("warning"), h("span", { class: "reason" }, ticked(text)), where];
}

/** All of them, as a card. @param {Finding[]} found @param {(ms: number) => void} [jump] */
export function verdicts(found, jump) {
  return h(
    "section",
    { class: "card verdicts" },
    h("h2", {}, found.length === 0 ? "Nothing went wrong" : found[0]?.tone === "bad" ? "What went wrong" : "Worth a look"),
    found.length === 0 && h("p", { class: "right" }, icon("check"), "Answers came in time, and all was heard."),
    h("ul", {}, found.map((finding) => h("li", { class: finding.tone }, line(finding, jump)))),
  );
}
