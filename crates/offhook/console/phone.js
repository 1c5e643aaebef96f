// @ts-check
/** A call from the browser: the microphone, the loudspeaker, and Twilio's side of the protocol between them and the server. */
import { ask, post } from "./api.js";
import { startSound } from "./sound.js";
import { Messages, callForm, parseOutbound, readDocument, sid } from "./twilio.js";

/**
 * @typedef {{
 *   agent?: string, from?: string, to?: string, goal?: string, parameters?: Record<string, string>,
 *   microphone: boolean, echoCancellation: boolean, line: import("./line.js").LineKind
 * }} Wishes
 * @typedef {{ sid: string, agent: string, transport: string, from: string, to: string, webhook: string, ticket: string | null, webhook_key: string | null }} Announced
 */

/** What an answer is waited for: Twilio gives a webhook 15 s, a handshake 10 s. */
const HANDSHAKE_MS = 10_000;

/** Tells `announced` ({@link Announced}), `begin`, `tick` ({@link import("./worklet.js").Tick}), `found` (what Twilio would say), `end`. */
export class Phone extends EventTarget {
  /** @param {Wishes} wishes */
  constructor(wishes) {
    super();
    this.wishes = wishes;
    this.over = false;
    this.account = sid("AC");
    this.stream = sid("MZ");
    /** Findings that were told: each once. @type {Set<string>} */
    this.told = new Set();
    /** @type {Announced | null} */
    this.call = null;
    /** @type {WebSocket | null} */
    this.socket = null;
    /** @type {AudioContext | null} */
    this.context = null;
    /** @type {AudioWorkletNode | null} */
    this.node = null;
    /** @type {MediaStream | null} */
    this.microphone = null;
  }

  /** @param {string} name @param {unknown} [detail] */
  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** @param {string} what */
  find(what) {
    if (this.told.has(what)) return;
    this.told.add(what);
    this.tell("found", what);
  }

  /** Places the call; it lasts when this returns. */
  async place() {
    try {
      await this.openSound();
      const { agent, from, to, goal, parameters } = this.wishes;
      /** @type {Announced} */
      const call = await post("/calls/test", { agent, from, to, goal, parameters });
      this.call = call;
      this.tell("announced", call);
      const document = await this.webhook(call.webhook, "ringing");
      if (document.kind === "relay") throw new Error("Twilio hears and speaks for this agent (ConversationRelay): its calls have no sound that a browser could play. offhook call … --type talks to it.");
      if (document.kind !== "stream") throw new Error(document.said || `The document connects to no stream: ${document.verbs.join(", ")}.`);
      await this.openSocket(document, call);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Asks a webhook as Twilio does. @param {string} url @param {"ringing" | "in-progress" | "completed"} status */
  async webhook(url, status) {
    const call = this.call;
    if (!call) throw new Error("there is no call");
    const form = callForm({ call: call.sid, account: this.account, from: call.from, to: call.to }, status);
    const here = new URL(url, location.href);
    const headers = call.webhook_key ? { "X-Offhook-Test-Call": `${call.sid}.${call.webhook_key}` } : undefined;
    const answer = await ask(here.pathname + here.search, { method: "POST", body: form, headers });
    return readDocument(await answer.text());
  }

  /** Microphone and loudspeaker. Within a gesture of the user's: browsers insist. */
  async openSound() {
    const context = new AudioContext({ latencyHint: "interactive" });
    this.context = context;
    const wanted = { echoCancellation: this.wishes.echoCancellation, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
    const microphone = this.wishes.microphone ? navigator.mediaDevices?.getUserMedia({ audio: wanted }) : null;
    if (this.wishes.microphone && !microphone) {
      throw new Error("Browsers give the microphone only to pages of https:// or localhost. Type instead, or open the page at localhost.");
    }
    const [stream] = await Promise.all([
      microphone?.catch((error) => {
        const why = { NotAllowedError: "The microphone was not allowed. Allow it in the address bar", NotFoundError: "No microphone was found. Connect one" }[/** @type {string} */ (error.name)];
        throw new Error(`${why ?? `The microphone can't be used (${error.name}). Try another`}, or call without one, and type.`);
      }),
      startSound(context),
    ]);
    const node = new AudioWorkletNode(context, "telephone", { numberOfInputs: 1, numberOfOutputs: 1, outputChannelCount: [1] });
    this.node = node;
    node.port.onmessage = ({ data }) => this.fromSound(data);
    this.wish({ do: "line", kind: this.wishes.line });
    if (stream) {
      this.microphone = stream;
      context.createMediaStreamSource(stream).connect(node);
    }
    node.connect(context.destination);
  }

  /** @param {import("./twilio.js").Document} document @param {Announced} call */
  async openSocket(document, call) {
    // The same server, by the name that the page has it by; Twilio would take the document's address, and insist on TLS.
    const url = new URL(new URL(document.url, location.href).pathname, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    if (call.ticket) url.search = String(new URLSearchParams({ call: call.sid, ticket: call.ticket }));
    const socket = new WebSocket(url);
    this.socket = socket;
    this.action = document.action;
    const messages = new Messages({ account: this.account, call: call.sid, stream: this.stream });
    this.messages = messages;
    await new Promise((resolve, reject) => {
      const failed = () => reject(new Error("The stream's socket could not be opened (31920)."));
      socket.onopen = resolve;
      socket.onerror = failed;
      setTimeout(failed, HANDSHAKE_MS);
    });
    socket.onmessage = ({ data }) => this.fromServer(data);
    // A server that closes a stream says so; one that is gone doesn't.
    socket.onclose = ({ wasClean }) => this.ended(wasClean ? "server" : "loss");
    socket.send(messages.connected());
    socket.send(messages.start(document.parameters));
    this.wish({ do: "begin" });
    this.tell("begin");
  }

  /** @param {unknown} data */
  fromServer(data) {
    if (typeof data !== "string") return this.find("31950: the server sent a binary frame");
    try {
      const message = parseOutbound(data, this.stream);
      if (message.event === "media") this.wish({ do: "media", octets: message.octets });
      else if (message.event === "mark") this.wish({ do: "mark", name: message.name });
      else this.wish({ do: "clear" });
      this.tell("message", message);
    } catch (error) {
      this.find(`31951: ${error instanceof Error ? error.message : error}`);
    }
  }

  /** @param {any} data */
  fromSound(data) {
    if (data.overflow) return this.find("31931: more than 10 minutes of audio wait; the rest was discarded");
    for (const name of data.back ?? data.marks ?? []) this.send(this.messages?.mark(name));
    if (data.back || this.over) return;
    this.send(this.messages?.media(data.caller));
    this.tell("tick", data);
  }

  /** @param {string | null | undefined} text */
  send(text) {
    if (text && this.socket?.readyState === WebSocket.OPEN) this.socket.send(text);
  }

  /** @param {import("./worklet.js").Wish} wish */
  wish(wish) {
    this.node?.port.postMessage(wish);
  }

  /** @param {string} digit */
  press(digit) {
    this.send(this.messages?.dtmf(digit));
    this.tell("key", digit);
  }

  /** The caller hangs up. */
  async hangUp() {
    this.send(this.messages?.stop());
    this.socket?.close(1000);
    await this.ended("caller");
  }

  /** The stream is over: does what the TwiML says next, as Twilio would. @param {"server" | "caller" | "loss"} by */
  async ended(by) {
    if (this.over) return;
    await this.close();
    let next = "";
    if (this.action) {
      const document = await this.webhook(this.action, by === "caller" ? "completed" : "in-progress").catch(() => null);
      next = document?.verbs.join(", ") ?? "";
    }
    this.tell("end", { by, next });
  }

  async close() {
    this.over = true;
    if (this.socket) this.socket.onclose = null;
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.close(1000);
    this.microphone?.getTracks().forEach((track) => track.stop());
    this.wish({ do: "end" });
    await this.context?.close().catch(() => undefined);
  }
}
