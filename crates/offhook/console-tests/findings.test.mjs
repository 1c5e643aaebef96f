// Bad calls, and what the page says was bad about each.
import assert from "node:assert/strict";
import test from "node:test";
import { findings } from "../console/findings.js";
import { Story } from "../console/story.js";

const turn = (began, end, text, decided = 300) => [
  [began + 50, "speech_started", { at_ms: began }],
  [end + decided, "turn_ended", { text, began_ms: began, speech_end_ms: end, decided_ms: end + decided, evidence: "plain" }],
];
const timed = (end, timing) => [end + timing.first_frame_ms, "reply_timed", { speech_end_ms: end, transcript_ms: 100, decided_ms: 300, requested_ms: 300, first_text_ms: 350, first_audio_ms: 400, ...timing }];
const says = (at, utterance, what, text, more = {}) => [
  [at, "speaking", { utterance, what, text }],
  [at + 900, "said", { utterance, what, heard: text, text, interrupted: false, timed: true, ...more }],
];

const told = (events, call) => {
  const story = new Story();
  for (const [t_ms, event, rest] of events) story.take({ t_ms, event, ...rest });
  return findings(story, call, { roles: { openai: "thinks", "last-words": "thinks", elevenlabs: "speaks", flite: "speaks" } }).map((finding) => finding.text);
};

const CALLS = {
  "a good call": [[...turn(1000, 2000, "two pizzas"), timed(2000, { first_frame_ms: 420 }), ...says(2420, 1, "reply", "Got it.")], { ended: "agent_done" }, []],
  "a slow model": [[...turn(1000, 2000, "two pizzas"), timed(2000, { first_text_ms: 2200, first_audio_ms: 2300, first_frame_ms: 2310 })], {}, [/1 of 1 answer took up to 2\.3 s, because the language model was slow/]],
  "a slow voice": [[...turn(1000, 2000, "x"), timed(2000, { first_audio_ms: 1200, first_frame_ms: 1210 })], {}, [/slow: .* up to 1\.2 s, because the voice/]],
  "a pause that was waited out": [[...turn(1000, 2000, "x and", 1800), timed(2000, { decided_ms: 1800, first_text_ms: 1810, first_audio_ms: 1850, first_frame_ms: 1860 })], {}, [/a long pause was waited out/]],
  "a recogniser that is late": [[...turn(1000, 2000, "x", 1600), timed(2000, { transcript_ms: 1550, decided_ms: 1600, first_text_ms: 1610, first_audio_ms: 1650, first_frame_ms: 1660 })], {}, [/speech-to-text was late/]],
  "a caller who is cut off": [[...turn(1000, 2000, "a table for two"), [2400, "turn_reopened", {}], ...turn(1000, 3000, "a table for two and at eight")], {}, [/Once the caller was cut off/]],
  "an agent that understands nothing": [[...turn(1000, 2000, ""), ...says(2500, 1, "reply", "Sorry?"), ...turn(4000, 5000, "")], {}, [/deaf: 2 times the caller spoke/]],
  "an interruption, and its loss": [says(0, 1, "reply", "We open at nine and close at ten.", { heard: "We open at nine", interrupted: true }), {}, [/interrupted the agent 1 time; not heard: “and close at ten\.”/]],
  "a model that fails": [[...turn(1000, 2000, "x"), [5000, "trouble", { message: "openai is down" }], ...says(5100, 1, "apology", "I'm sorry.")], {}, [/openai is down/, /had to apologise/]],
  "a caller who falls silent": [[...says(9000, 1, "check_in", "Are you still there?"), [15_000, "ended", { why: "caller_silent" }]], { ended: "caller_silent" }, [/said nothing/, /Once the agent asked whether/]],
  "a caller who leaves": [[...turn(1000, 2000, "x"), ...says(2400, 1, "reply", "We open at nine.", { heard: "We", interrupted: true })], { ended: "stream_stopped" }, [/hung up while the agent spoke; not heard: “open at nine\.”/]],
  "a caller who is spoken into": [[...turn(1000, 2000, "two pizzas"), ...says(2400, 1, "reply", "Anything else?", { heard: "Any", interrupted: true }), ...turn(2700, 3500, "and water"), ...says(3900, 2, "reply", "Fine.")], {}, [/cut off/]],
  "a caller who waits in vain": [[...turn(1000, 2000, "two pizzas"), ...says(3500, 1, "filler", "One moment.", { heard: "One", interrupted: true })], { ended: "stream_stopped", duration_ms: 6000 }, [/hung up after 4\.0 s of waiting/, /filler/]],
  "a server that is gone": [[...turn(1000, 2000, "x")], { state: "lost" }, [/server broke off/]],
  "a model that can't be reached": [[...turn(1000, 2000, "x"), ...says(2400, 1, "reply", "Sorry?")], { usage: { openai: { requests: 2, failures: 2 } } }, [/The language model `openai` failed 2 times; nobody else could answer/]],
  "a voice that another replaces": [says(2400, 1, "reply", "Sorry?"), { usage: { elevenlabs: { requests: 1, failures: 1 } } }, [/The voice `elevenlabs` failed; `flite` spoke in its place/]],
  "a provider of which nothing is known": [says(2400, 1, "reply", "Sorry?"), { usage: { other: { requests: 3, failures: 1 } } }, [/The provider `other` failed\.$/]],
  "a tool that fails": [[[1000, "tool", { name: "find_table", stage: "asked" }], [1200, "tool", { name: "find_table", stage: "failed", after_ms: 200 }]], {}, [/The tool `find_table` failed\.$/]],
  "a goal that is missed": [[...turn(1000, 2000, "no thanks")], { outcome: { verdict: "refused", evidence: "no thanks" } }, [/not achieved: refused, “no thanks”/]],
};

for (const [name, [events, call, wanted]] of Object.entries(CALLS)) {
  test(name, () => {
    const found = told(events, call);
    assert.equal(found.length, wanted.length, found.join("\n"));
    wanted.forEach((pattern, at) => assert.match(found[at], pattern));
  });
}
