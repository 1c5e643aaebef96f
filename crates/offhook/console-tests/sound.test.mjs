// The page's sound against the crates': vectors.json is held by a test of Rust's.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Line, random } from "../console/line.js";
import { decode, encode, fromBase64, level, toBase64 } from "../console/mulaw.js";
import { Playout } from "../console/playout.js";
import { Resampler } from "../console/resample.js";

const vectors = JSON.parse(readFileSync(new URL("vectors.json", import.meta.url), "utf8"));
const hash = (octets) => createHash("sha256").update(Uint8Array.from(octets)).digest("hex");

function numbers(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 8;
  };
}

function noise(count) {
  const next = numbers(7);
  return Array.from({ length: count }, (_, at) => (next() % 16384) - 8192 + (at % 500 < 250 ? 4000 : -4000));
}

test("μ-law is G.711's, to the bit", () => {
  assert.deepEqual(Array.from({ length: 256 }, (_, octet) => decode(octet)), vectors.mulaw.decoded);
  assert.equal(hash(Array.from({ length: 65536 }, (_, at) => encode(at - 32768))), vectors.mulaw.encoded);
});

test("base64 goes both ways, however long", () => {
  for (const length of [0, 1, 2, 160, 10_000]) {
    const octets = Uint8Array.from({ length }, (_, at) => (at * 37) & 255);
    assert.equal(toBase64(octets), Buffer.from(octets).toString("base64"));
    assert.deepEqual(fromBase64(toBase64(octets)), octets);
  }
});

test("levels are relative to overload", () => {
  assert.equal(level([]), -127);
  assert.equal(level(new Uint8Array(160).fill(0xff)), -127);
  assert.ok(Math.abs(level(new Uint8Array(160).fill(0x80)) + 0.17) < 0.01);
});

for (const { from, to, output } of vectors.resampled) {
  test(`${from} to ${to} Hz is what the crate makes of it, to one step of 16 bits`, () => {
    const input = noise(3000);
    for (const chunk of [128, 1, 97, 3000]) {
      const resampler = new Resampler(from, to);
      const made = [];
      for (let at = 0; at < input.length; at += chunk) made.push(...resampler.process(input.slice(at, at + chunk)));
      assert.equal(made.length, Math.ceil((3000 * to) / from), `in chunks of ${chunk}`);
      assert.equal(made.length, output.length);
      const worst = Math.max(...made.map((sample, at) => Math.abs(Math.round(sample) - output[at])));
      assert.ok(worst <= 1, `off by ${worst}, in chunks of ${chunk}`);
    }
  });
}

test("the playout buffer does what the simulator's does", () => {
  const playout = new Playout();
  const next = numbers(11);
  vectors.playout.steps.forEach((step, at) => {
    const turn = next() % 12;
    switch (step.do) {
      case "media": {
        assert.ok(turn <= 1);
        const length = next() % 900;
        const octets = Uint8Array.from({ length }, () => next() % 255);
        assert.equal(hash(octets), step.hash, "the test itself");
        assert.equal(playout.media(octets), step.taken);
        break;
      }
      case "mark":
        assert.deepEqual(playout.mark(step.name), step.back === null ? [] : [step.back], `step ${at}`);
        break;
      case "clear":
        assert.deepEqual(playout.clear(), step.back, `step ${at}`);
        break;
      default: {
        const tick = playout.tick();
        const found = { frame: hash(tick.frame), marks: tick.marks, sounded: tick.sounded, waiting_ms: Math.floor(playout.waiting / 8) };
        assert.deepEqual(found, { frame: step.frame, marks: step.marks, sounded: step.sounded, waiting_ms: step.waiting_ms }, `step ${at}`);
      }
    }
  });
  assert.deepEqual(playout.gaps, vectors.playout.gaps);
  assert.ok(vectors.playout.gaps.length > 3, "the trace has holes in it");
});

test("more than ten minutes are discarded", () => {
  const playout = new Playout();
  assert.equal(playout.media(new Uint8Array(8000 * 600)), true);
  assert.equal(playout.media(new Uint8Array(1)), false);
});

const rms = (samples) => Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
const tone = (hz, amplitude) => Int16Array.from({ length: 160 }, (_, at) => amplitude * Math.sin((2 * Math.PI * hz * at) / 8000));

test("a line repeats exactly, and does what its name says", () => {
  const silence = new Int16Array(160);
  const speech = tone(1000, 8000);
  assert.equal(new Line("clean").carry(speech, silence), speech);
  const first = new Line("noisy", 3);
  const second = new Line("noisy", 3);
  const noise = Array.from({ length: 200 }, () => first.carry(silence, silence));
  assert.deepEqual(noise, Array.from({ length: 200 }, () => second.carry(silence, silence)));
  const dbov = 20 * Math.log10(rms(noise.flatMap((frame) => [...frame])) / 32768);
  assert.ok(dbov > -50 && dbov < -40, `${dbov} dBov`);
  const lossy = new Line("loss", 5);
  const lost = Array.from({ length: 20_000 }, () => lossy.carry(speech, silence)).filter((frame) => frame === null).length / 20_000;
  assert.ok(lost > 0.04 && lost < 0.06, `${lost}`);
  const echo = new Line("echo");
  const back = Array.from({ length: 12 }, (_, at) => echo.carry(silence, at === 0 ? speech : silence));
  assert.deepEqual(back.map((frame) => rms([...frame]) > 100), Array.from({ length: 12 }, (_, at) => at === 9));
  const mobile = new Line("mobile");
  const low = Array.from({ length: 10 }, () => mobile.carry(tone(100, 8000), silence)).at(-1);
  const heard = Array.from({ length: 10 }, () => mobile.carry(speech, silence)).at(-1);
  assert.ok(rms([...low]) < rms([...heard]) / 4, "what is below the telephone's band is gone");
});

test("random numbers spread", () => {
  const next = random(1);
  const mean = Array.from({ length: 10_000 }, next).reduce((sum, value) => sum + value) / 10_000;
  assert.ok(Math.abs(mean - 0.5) < 0.02);
});
