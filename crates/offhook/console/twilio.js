// @ts-check
/** Twilio's side of a call, as the browser plays it: what is posted, what is sent, what is taken. As the crate `simulator` does. */
import { fromBase64, toBase64 } from "./mulaw.js";

/** The first timestamp is not zero: captures show 155 and 171 ms. */
const FIRST_TIMESTAMP_MS = 155;

/** An identifier in Twilio's form. @param {string} prefix */
export function sid(prefix) {
  const octets = crypto.getRandomValues(new Uint8Array(16));
  return prefix + Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/**
 * What every webhook of a call has.
 * @param {{ call: string, account: string, from: string, to: string }} parties
 * @param {"ringing" | "in-progress" | "completed"} status
 */
export function callForm({ call, account, from, to }, status) {
  const form = new URLSearchParams({ AccountSid: account, ApiVersion: "2010-04-01", CallSid: call, CallStatus: status });
  form.set("Direction", "inbound");
  for (const [names, number] of /** @type {const} */ ([
    [["From", "Caller"], from],
    [["To", "Called"], to],
  ])) {
    for (const name of names) form.set(name, number);
    form.set(`${names[0]}Country`, "US");
  }
  return form;
}

/** What Twilio sends over the socket, field by field as it does. */
export class Messages {
  /** @param {{ account: string, call: string, stream: string }} sids */
  constructor({ account, call, stream }) {
    this.account = account;
    this.call = call;
    this.stream = stream;
    this.sequence = 0;
    this.chunk = 0;
    /** Frames of the stream, those that were lost on the way included. */
    this.frames = 0;
  }

  next() {
    this.sequence += 1;
    return String(this.sequence);
  }

  connected() {
    return JSON.stringify({ event: "connected", protocol: "Call", version: "1.0.0" });
  }

  /** @param {[string, string][]} parameters */
  start(parameters) {
    return JSON.stringify({
      event: "start",
      sequenceNumber: this.next(),
      start: {
        accountSid: this.account,
        streamSid: this.stream,
        callSid: this.call,
        tracks: ["inbound"],
        mediaFormat: { encoding: "audio/x-mulaw", sampleRate: 8000, channels: 1 },
        customParameters: Object.fromEntries(parameters),
      },
      streamSid: this.stream,
    });
  }

  /** A frame; `null` for one that got lost, which sends nothing but takes its time. @param {Uint8Array | null} octets */
  media(octets) {
    const timestamp = String(FIRST_TIMESTAMP_MS + this.frames * 20);
    this.frames += 1;
    if (!octets) return null;
    this.chunk += 1;
    const media = { track: "inbound", chunk: String(this.chunk), timestamp, payload: toBase64(octets) };
    return JSON.stringify({ event: "media", sequenceNumber: this.next(), media, streamSid: this.stream });
  }

  /** @param {string} digit */
  dtmf(digit) {
    const dtmf = { track: "inbound_track", digit };
    return JSON.stringify({ event: "dtmf", streamSid: this.stream, sequenceNumber: this.next(), dtmf });
  }

  /** @param {string} name */
  mark(name) {
    return JSON.stringify({ event: "mark", sequenceNumber: this.next(), streamSid: this.stream, mark: { name } });
  }

  stop() {
    const stop = { accountSid: this.account, callSid: this.call };
    return JSON.stringify({ event: "stop", sequenceNumber: this.next(), stop, streamSid: this.stream });
  }
}

/** @typedef {{ event: "media", octets: Uint8Array } | { event: "mark", name: string } | { event: "clear" }} Outbound */

/**
 * A message from the server. Throws what Twilio would warn of (31951).
 * @param {string} text
 * @param {string} stream
 * @returns {Outbound}
 */
export function parseOutbound(text, stream) {
  const message = JSON.parse(text);
  if (message?.streamSid !== stream) throw new Error(`\`${message?.event}\` is not of this stream`);
  const has = (/** @type {string[]} */ ...names) => {
    const extra = Object.keys(message).find((name) => !names.includes(name));
    if (extra) throw new Error(`\`${message.event}\` has a field \`${extra}\` that it must not have`);
  };
  switch (message.event) {
    case "media": {
      has("event", "streamSid", "media");
      if (typeof message.media?.payload !== "string") throw new Error("`media.payload` is missing or not a string");
      return { event: "media", octets: fromBase64(message.media.payload) };
    }
    case "mark":
      has("event", "streamSid", "mark");
      if (typeof message.mark?.name !== "string") throw new Error("`mark.name` is missing or not a string");
      return { event: "mark", name: message.mark.name };
    case "clear":
      has("event", "streamSid");
      return { event: "clear" };
    default:
      throw new Error(`unknown event \`${message.event}\``);
  }
}

/**
 * What a document does, as far as a test call goes.
 * @typedef {{
 *   kind: "stream" | "relay" | "other", url: string, parameters: [string, string][], action: string | null,
 *   statusCallback: string | null, said: string, verbs: string[]
 * }} Document
 */

/**
 * Reads TwiML. Throws what is wrong with it.
 * @param {string} text
 * @returns {Document}
 */
export function readDocument(text) {
  const xml = new DOMParser().parseFromString(text, "text/xml");
  const root = xml.documentElement;
  if (xml.querySelector("parsererror") || root.nodeName !== "Response") throw new Error("The webhook's answer is not TwiML (12100).");
  const verbs = Array.from(root.children, (verb) => verb.nodeName);
  const noun = root.querySelector(":scope > Connect > Stream, :scope > Connect > ConversationRelay");
  const said = Array.from(root.querySelectorAll(":scope > Say"), (say) => say.textContent ?? "").join(" ");
  return {
    kind: noun?.nodeName === "Stream" ? "stream" : noun ? "relay" : "other",
    url: noun?.getAttribute("url") ?? "",
    parameters: Array.from(noun?.querySelectorAll("Parameter") ?? [], (parameter) => [
      parameter.getAttribute("name") ?? "",
      parameter.getAttribute("value") ?? "",
    ]),
    action: noun?.parentElement?.getAttribute("action") ?? null,
    statusCallback: noun?.getAttribute("statusCallback") ?? null,
    said,
    verbs,
  };
}
