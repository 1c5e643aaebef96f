// What is told of a call: the story, its latencies, the caller's file.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { readEvent } from "../console/api.js";
import { encode } from "../console/mulaw.js";
import { Take, crc32, wav, zip } from "../console/scenario.js";
import { Story, heardAndCut } from "../console/story.js";
import { steps } from "../console/turns.js";
import { Messages, callForm, parseOutbound } from "../console/twilio.js";

const story = (...events) => events.reduce((told, [t_ms, event, rest]) => told.take({ t_ms, event, ...rest }), new Story());

const TURN = [
  [1000, "speech_started", { at_ms: 900 }],
  [1200, "hearing", { text: "two large" }],
  [1600, "speech_paused", { at_ms: 1500 }],
  [1620, "waiting", { evidence: "plain", until_ms: 2000 }],
  [1700, "speculated", { reply: 1 }],
  [2000, "turn_ended", { text: "two large pizzas", began_ms: 900, speech_end_ms: 1500, decided_ms: 2000, evidence: "plain" }],
];

test("a turn is told from its onset to its answer", () => {
  const told = story(...TURN);
  assert.equal(told.state, "thinking");
  const [turn] = told.turns;
  assert.deepEqual([turn.text, turn.from, turn.until, turn.state, turn.speculated], ["two large pizzas", 900, 1500, "ended", 1]);
  const timing = { speech_end_ms: 1500, transcript_ms: 200, decided_ms: 500, requested_ms: 200, first_text_ms: 210, first_audio_ms: 530, first_frame_ms: 540 };
  told.take({ t_ms: 2040, event: "reply_timed", ...timing });
  assert.deepEqual(turn.timing, timing);
  assert.deepEqual(steps(timing).map((step) => step.length), [500, 0, 30, 10]);
});

test("a turn that is reopened is one turn", () => {
  const told = story(...TURN, [2100, "turn_reopened"], [2110, "speech_started", { at_ms: 2050 }], [2400, "hearing", { text: "two large pizzas and" }]);
  assert.equal(told.turns.length, 1);
  assert.equal(told.state, "caller");
  assert.equal(told.turns[0].spans.length, 2);
});

test("words that come late are of the turn that is over", () => {
  const told = story(...TURN, [2050, "hearing", { text: "two large pizzas please" }], [5100, "speech_started", { at_ms: 5000 }], [5300, "hearing", { text: "for delivery" }]);
  assert.deepEqual(told.turns.map((turn) => [turn.from, turn.text]), [[900, "two large pizzas please"], [5000, "for delivery"]]);
});

test("what was not heard is cut off", () => {
  const told = story(
    [0, "speaking", { utterance: 1, what: "reply", text: "We're open every day." }],
    [800, "barge_in", { stage: "suspected", after_ms: 60 }],
    [900, "barge_in", { stage: "interrupted", after_ms: 160 }],
    [910, "said", { utterance: 1, what: "reply", heard: "We're open", text: "We're open every day. Anything else?", interrupted: true, timed: true }],
  );
  const [said] = told.items;
  assert.deepEqual(heardAndCut(said), { heard: "We're open", cut: " every day. Anything else?" });
  assert.deepEqual([said.stopped, told.interruptions, told.moments], [160, 1, [{ at: 740, what: "barge-in" }]]);
});

test("tools, troubles and the end are told", () => {
  const told = story(
    [10, "tool", { name: "find_table", stage: "asked", after_ms: 0 }],
    [300, "tool", { name: "find_table", stage: "failed", after_ms: 290 }],
    [400, "trouble", { message: "the model is late" }],
    [500, "ended", { why: "caller_silent" }],
    [600, "an_event_of_a_later_version", {}],
  );
  assert.deepEqual(told.items.map((item) => [item.tone, item.text]), [
    ["bad", "find_table failed after 290 ms"],
    ["bad", "the model is late"],
    ["plain", "The call is over: the caller was silent."],
  ]);
  assert.equal(told.state, "over");
});

test("events are read as the server writes them", () => {
  assert.deepEqual(readEvent('event: call\ndata: {"a":1}'), { name: "call", data: { a: 1 } });
  assert.equal(readEvent(":"), null);
});

test("Twilio's messages, field by field", () => {
  const messages = new Messages({ account: "AC1", call: "CA1", stream: "MZ1" });
  assert.equal(messages.connected(), '{"event":"connected","protocol":"Call","version":"1.0.0"}');
  assert.equal(JSON.parse(messages.start([["a", "b"]])).start.customParameters.a, "b");
  const media = '{"event":"media","sequenceNumber":"2","media":{"track":"inbound","chunk":"1","timestamp":"155","payload":"/w=="},"streamSid":"MZ1"}';
  assert.equal(messages.media(Uint8Array.of(0xff)), media);
  assert.equal(messages.media(null), null);
  const third = JSON.parse(messages.media(Uint8Array.of(0xff)));
  assert.deepEqual([third.media.chunk, third.media.timestamp, third.sequenceNumber], ["2", "195", "3"]);
  assert.equal(callForm({ call: "CA1", account: "AC1", from: "+1", to: "+2" }, "ringing").get("Called"), "+2");
});

test("what a server must not send is found", () => {
  const good = { event: "media", streamSid: "MZ1", media: { payload: "/w==" } };
  assert.deepEqual(parseOutbound(JSON.stringify(good), "MZ1"), { event: "media", octets: Uint8Array.of(0xff) });
  for (const bad of [{ ...good, streamSid: "MZ2" }, { ...good, extra: 1 }, { event: "stop", streamSid: "MZ1" }, { event: "mark", streamSid: "MZ1", mark: {} }]) {
    assert.throws(() => parseOutbound(JSON.stringify(bad), "MZ1"));
  }
  assert.throws(() => parseOutbound("{", "MZ1"));
});

/** A call: the agent speaks from 0 to 1 s, the caller from 1.5 to 2 s; the agent from 2.5 s on, the caller over it at 3 s. */
function spoken() {
  const told = story(
    [2300, "turn_ended", { text: "one pizza", began_ms: 1500, speech_end_ms: 2000, decided_ms: 2300, evidence: "plain" }],
    [3500, "turn_ended", { text: "no two", began_ms: 3000, speech_end_ms: 3400, decided_ms: 3500, evidence: "plain" }],
  );
  const take = new Take(told);
  const loud = new Uint8Array(160).fill(encode(8000));
  const quiet = new Uint8Array(160).fill(0xff);
  for (let at = 0; at < 4000; at += 20) {
    const agent = at < 1000 || (at >= 2500 && at < 3100);
    const caller = (at >= 1500 && at < 2000) || (at >= 3000 && at < 3400);
    take.tick({ spoken: caller ? loud : quiet, heard: agent ? loud : quiet });
  }
  take.key("4");
  take.key("2");
  return take;
}

test("a call becomes a caller's file", () => {
  const toml = spoken().toml();
  assert.match(toml, /file = "line-1\.wav"\ntext = "one pizza"\nafter_agent = "300ms"/);
  assert.match(toml, /file = "line-2\.wav"\ntext = "no two"\nbarge_in = "300ms"/);
  assert.match(toml, /keys = "42"\ntext = "\(keys\)"\nafter_agent|keys = "42"\ntext = "\(keys\)"\nat = "4000ms"/);
});

test("an archive that unzip takes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "console-"));
  const path = join(folder, "caller.zip");
  writeFileSync(path, new Uint8Array(await spoken().zip().arrayBuffer()));
  execFileSync("python3", ["-m", "zipfile", "-t", path]);
  execFileSync("python3", ["-m", "zipfile", "-e", path, folder]);
  const sound = readFileSync(join(folder, "caller/line-1.wav"));
  assert.equal(sound.subarray(0, 4).toString(), "RIFF");
  assert.equal(sound.length, 44 + 0.9 * 16000);
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
  assert.ok(zip([]).length === 22 && wav([new Uint8Array(2), new Uint8Array(2)]).length === 52);
});
