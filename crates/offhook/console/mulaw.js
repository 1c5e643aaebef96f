// @ts-check
/** G.711 μ-law, to the bit as the ITU's reference (and as the crate `mulaw`). */

/** Silence as μ-law writes it. */
export const SILENCE = 0xff;

/** What magnitudes are moved by, so that segments begin at powers of two. */
const BIAS = 0x84;

/** Octets to samples, ±32 124. */
const DECODED = new Int16Array(256);
for (let octet = 0; octet < 256; octet += 1) {
  const bits = ~octet & 0xff;
  const magnitude = ((((bits & 0x0f) << 3) + BIAS) << ((bits & 0x70) >> 4)) - BIAS;
  DECODED[octet] = bits & 0x80 ? -magnitude : magnitude;
}

/**
 * The sample of an octet.
 * @param {number} octet
 */
export const decode = (octet) => DECODED[octet & 0xff] ?? 0;

/**
 * The octet of a sample of 16 bits.
 * @param {number} sample
 */
export function encode(sample) {
  const negative = sample >> 31;
  const magnitude = Math.min((sample ^ negative) + BIAS, 32767);
  const segment = 24 - Math.clz32(magnitude);
  const step = (magnitude >> (segment + 3)) & 0x0f;
  return ((segment << 4) | step | (negative & 0x80)) ^ 0xff;
}

/**
 * @param {ArrayLike<number>} octets
 * @returns {Int16Array}
 */
export function decodeAll(octets) {
  const samples = new Int16Array(octets.length);
  for (let at = 0; at < octets.length; at += 1) samples[at] = decode(octets[at] ?? SILENCE);
  return samples;
}

/**
 * @param {ArrayLike<number>} samples
 * @returns {Uint8Array}
 */
export function encodeAll(samples) {
  const octets = new Uint8Array(samples.length);
  for (let at = 0; at < samples.length; at += 1) octets[at] = encode(samples[at] ?? 0);
  return octets;
}

/**
 * The root-mean-square level of μ-law octets, relative to overload: 0 dBov is a full-scale square wave.
 * @param {ArrayLike<number>} octets
 */
export function level(octets) {
  let energy = 0;
  for (let at = 0; at < octets.length; at += 1) energy += decode(octets[at] ?? SILENCE) ** 2;
  if (energy === 0) return -127;
  return Math.max(-127, 10 * Math.log10(energy / octets.length / (32768 * 32768)));
}

/** Sound above this is a voice: the simulator's rule. */
export const VOICE = -50;

/**
 * @param {Uint8Array} octets
 * @returns {string}
 */
export function toBase64(octets) {
  let text = "";
  for (let at = 0; at < octets.length; at += 4096) text += String.fromCharCode(...octets.subarray(at, at + 4096));
  return btoa(text);
}

/**
 * @param {string} text
 * @returns {Uint8Array}
 */
export function fromBase64(text) {
  const binary = atob(text);
  const octets = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) octets[at] = binary.charCodeAt(at);
  return octets;
}
