// @ts-check
/** A call as one file that shows itself: no script, nothing loaded from anywhere. */
import { h } from "./dom.js";
import { wav } from "./scenario.js";
import { SILENCE, toBase64 } from "./mulaw.js";

/** @param {import("./kept.js").Kept} kept @returns {Blob} */
export function share(kept) {
  const { player } = kept;
  const styles = Array.from(document.styleSheets, (sheet) => Array.from(sheet.cssRules, (rule) => rule.cssText).join("\n")).join("\n");
  const own = "body { display: block; height: auto; max-width: 1100px; margin: 0 auto; padding: 24px; } .controls, .to-list { display: none; } .call-card, .transcript { overflow: visible; } audio, .picture { width: 100%; display: block; }";
  const picture = kept.wave.element.hidden ? null : h("img", { class: "picture", alt: "Both voices over time", src: kept.wave.canvas.toDataURL("image/png") });
  const card = /** @type {Element} */ (kept.element.cloneNode(true));
  card.querySelectorAll(".wave-box, .controls, form").forEach((element) => element.remove());
  card.querySelectorAll("details").forEach((details) => details.setAttribute("open", ""));
  card.querySelectorAll("button").forEach((button) => button.replaceWith(h("span", { class: button.className }, button.textContent)));
  card.querySelectorAll("a").forEach((link) => link.replaceWith(h("span", { class: link.className }, link.textContent)));
  const length = Math.max(player.caller.length, player.agent.length);
  const padded = (/** @type {Uint8Array} */ octets) => {
    const whole = new Uint8Array(length).fill(SILENCE);
    whole.set(octets);
    return whole;
  };
  // As text: an element of this page would load it, which its policy forbids.
  const sound = length > 0 ? `<audio controls src="data:audio/wav;base64,${toBase64(wav([padded(player.caller), padded(player.agent)]))}"></audio>` : "";
  const body = `<body>${picture?.outerHTML ?? ""}${sound}${card.outerHTML}</body>`;
  const title = `Call ${kept.sid}`;
  const policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:";
  const head = `<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}"><meta name="viewport" content="width=device-width"><title>${title}</title><style>${styles}\n${own}</style>`;
  return new Blob([`<!doctype html><html lang="en"><head>${head}</head>${body}</html>`], { type: "text/html" });
}
