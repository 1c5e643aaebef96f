// @ts-check
/** The server's API, as `/openapi.json` describes it. */

/** Why the server did not do it: in its own words. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} message */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const STORED = "offhook.key";

/** The API's token: from the address that the server printed, else as it was typed. Kept for this tab alone. */
export const key = {
  get: () => sessionStorage.getItem(STORED) ?? "",
  /** @param {string} value */
  set: (value) => sessionStorage.setItem(STORED, value),
  forget: () => sessionStorage.removeItem(STORED),
};

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<Response>}
 */
export async function ask(path, init = {}) {
  const headers = new Headers(init.headers);
  // Without a key, a proxy may have signed somebody in, and says so itself.
  if (key.get()) headers.set("Authorization", `Bearer ${key.get()}`);
  const answer = await fetch(path, { ...init, headers, cache: "no-store", credentials: "same-origin", redirect: "error" }).catch((error) => {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw lost();
  });
  window.dispatchEvent(new Event("reached"));
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => null);
  throw new ApiError(answer.status, said?.error?.code ?? "refused", said?.error?.message ?? `The server answered with ${answer.status}.`);
}

/** The server is gone, for now: the page says so until it is `reached` again. */
function lost() {
  window.dispatchEvent(new Event("unreached"));
  return new ApiError(0, "unreachable", "The server does not answer. Is it still running?");
}

/** @param {unknown} error */
export const isLost = (error) => error instanceof ApiError && error.code === "unreachable";

/** @param {string} path @param {RequestInit} [init] @returns {Promise<any>} */
export const get = async (path, init) => (await ask(path, init)).json();

/** @param {string} path @param {unknown} body @returns {Promise<any>} */
export async function post(path, body) {
  const answer = await ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return answer.status === 204 ? null : answer.json();
}

/** @param {string} path @returns {Promise<any>} */
export const remove = async (path) => (await ask(path, { method: "DELETE" })).json().catch(() => null);

/** Words as the embedded voice says them, μ-law at 8 kHz. @param {string} text */
export async function speech(text) {
  const headers = { "Content-Type": "application/json" };
  const answer = await ask("/speech", { method: "POST", headers, body: JSON.stringify({ text }) });
  return new Uint8Array(await answer.arrayBuffer());
}

/**
 * Server-sent events. Not by `EventSource`, which can send no token.
 * @param {string} path
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<{ name: string, data: any }>}
 */
export async function* events(path, signal) {
  const answer = await ask(path, { signal });
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  let text = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw signal.aborted ? error : lost();
    });
    if (done) return;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const event = readEvent(text.slice(0, end));
      text = text.slice(end + 2);
      if (event) yield event;
    }
  }
}

/** @param {string} block */
export function readEvent(block) {
  let name = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  return data.length > 0 ? { name, data: JSON.parse(data.join("\n")) } : null;
}
