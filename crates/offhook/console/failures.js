// @ts-check
/** What failed beside the engine: providers, tools, and what went wrong in its own words. */

/** What each provider does, by its name. @typedef {Record<string, "hears" | "thinks" | "speaks">} Roles */

/** @type {Record<string, string>} */
const KINDS = { hears: "speech-to-text", thinks: "language model", speaks: "voice" };
/** @type {Record<string, string>} */
const DID = { hears: "heard", thinks: "answered", speaks: "spoke" };
/** Says what was prepared for the case that nobody thinks. */
const LAST_WORDS = "last-words";
/** So many of its own words are told. */
const MOST = 4;

/** @param {import("./main.js").Agent | undefined} agent @returns {Roles} */
export function rolesOf(agent) {
  /** @type {Roles} */
  const roles = {};
  const twice = new Set();
  for (const { name, does } of agent?.providers ?? []) {
    if (name in roles && roles[name] !== does) twice.add(name);
    roles[name] = /** @type {any} */ (does);
  }
  // One name for two tasks: which of them failed isn't told.
  for (const name of twice) delete roles[name];
  return roles;
}

/**
 * @param {import("./story.js").Story} story
 * @param {any} call
 * @param {Roles} roles
 * @param {import("./findings.js").Say} say
 */
export function failures(story, call, roles, say) {
  const usage = Object.entries(/** @type {Record<string, { requests: number, failures: number }>} */ (call.usage ?? {}));
  for (const [name, used] of usage) {
    if (!used.failures) continue;
    const role = roles[name];
    const kind = name === "conversation-relay" ? "application" : ((role && KINDS[role]) ?? "provider");
    const often = used.failures === 1 ? "" : ` ${used.failures} times`;
    // Those on this machine use nothing that is counted: who is next in line, if there were answers all the same.
    const line = Object.keys(roles).filter((other) => roles[other] === role);
    const next = line[line.indexOf(name) + 1];
    const answered = story.items.some((item) => item.kind === "agent" && item.state === "said") && used.failures >= used.requests;
    let rest = "";
    if (next === LAST_WORDS && role) rest = "; nobody else could answer, so the agent could but say its last words";
    else if (next && role && answered) rest = `; \`${next}\` ${DID[role]} in its place`;
    say(role === "thinks" || kind === "application" ? 94 : 92, `The ${kind} \`${name}\` failed${often}${rest}.`);
  }
  /** @type {Map<string, number[]>} */
  const tools = new Map();
  /** @type {import("./story.js").Note[]} */
  const others = [];
  for (const item of story.items) {
    if (item.kind !== "note" || item.tone !== "bad") continue;
    const tool = /^(\S+) failed after/.exec(item.text)?.[1];
    if (tool) tools.set(tool, [...(tools.get(tool) ?? []), item.from]);
    else others.push(item);
  }
  for (const [name, at] of tools) say(90, `The tool \`${name}\` failed${at.length === 1 ? "" : ` ${at.length} times`}.`, at[0]);
  for (const item of others.slice(0, MOST)) say(64, item.text, item.from);
  if (others.length > MOST) say(50, `… and ${others.length - MOST} more troubles.`);
}
