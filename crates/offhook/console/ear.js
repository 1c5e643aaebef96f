// @ts-check
/** Listens in: what goes over a call's wire, played as the caller's side plays it. */
import { events } from "./api.js";
import { fromBase64 } from "./mulaw.js";
import { startSound } from "./sound.js";

export class Ear {
  /**
   * @param {string} sid
   * @param {(caller: Uint8Array, agent: Uint8Array) => void} tick What was heard of each, every 20 ms.
   * @param {(ms: number) => void} begin When the first of it was said, on the call's clock.
   */
  constructor(sid, tick, begin) {
    this.sid = sid;
    this.begin = begin;
    this.begun = false;
    this.tick = tick;
    this.abort = new AbortController();
    /** @type {AudioContext | null} */
    this.context = null;
    /** @type {AudioWorkletNode | null} */
    this.node = null;
  }

  /** @param {string} side both, caller or agent */
  async open(side) {
    const context = new AudioContext({ latencyHint: "interactive" });
    this.context = context;
    await startSound(context);
    const node = new AudioWorkletNode(context, "ear", { numberOfInputs: 0, numberOfOutputs: 1, outputChannelCount: [1] });
    node.port.onmessage = ({ data }) => this.tick(data.caller, data.agent);
    node.connect(context.destination);
    this.node = node;
    this.choose(side);
    this.follow().catch(() => this.close());
  }

  async follow() {
    for await (const { name, data } of events(`/calls/${this.sid}/listen`, this.abort.signal)) {
      if (!this.begun && data.t_ms !== undefined) {
        this.begun = true;
        this.begin(data.t_ms);
      }
      const octets = data.mulaw ? fromBase64(data.mulaw) : null;
      if (octets) this.node?.port.postMessage({ do: name, octets });
      else if (name === "clear" || name === "mark") this.node?.port.postMessage({ do: name, name: data.mark ?? "" });
    }
  }

  /** @param {string} side */
  choose(side) {
    this.node?.port.postMessage({ do: "side", side });
  }

  close() {
    this.abort.abort();
    this.node?.port.postMessage({ do: "end" });
    this.context?.close().catch(() => undefined);
    this.context = null;
  }
}
