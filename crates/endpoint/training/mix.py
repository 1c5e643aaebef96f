"""Clips to train on: talkers in noise on a telephone line, with labels by frame.

`mix.py LABELLED TALKERS OUT CLIPS SEED [LEAVE-OUT…]` writes OUT.pcm (16-bit clips of 10 s) and OUT.labels (a byte a
frame: 0, 1, or 2 for "don't care"). LABELLED holds recordings of real talkers and noises with labels (see README.md);
files whose names begin with one of LEAVE-OUT aren't used.
"""

import json
import sys
from pathlib import Path

import numpy as np
from scipy import signal

import sounds
from wavs import FRAME, RATE, frames_of, mulaw, read

CLIP = 10 * RATE


def level(x):
    return 20 * np.log10(np.sqrt(np.mean(np.square(x, dtype=np.float64))) / 32768 + 1e-9)


def at_level(x, dbov):
    return x * 10 ** ((dbov - level(x)) / 20)


def utterances(x, spans, margin=0.12):
    """Cuts a recording into (samples, labels) pieces of one to three spans each."""
    pieces, i = [], 0
    while i < len(spans):
        j = min(len(spans), i + 1 + (i % 3))
        start = max(spans[i][0] - margin, spans[i - 1][1] if i else 0)
        end = min(spans[j - 1][1] + margin, spans[j][0] if j < len(spans) else len(x) / RATE)
        # Whole frames, so that labels stay on the grid.
        a, b = round(start * 50) * FRAME, round(end * 50) * FRAME
        labels = frames_of(spans, len(x) // FRAME + 2)[a // FRAME:b // FRAME]
        if b - a > 4 * FRAME and b <= len(x):
            pieces.append((x[a:b], labels[: (b - a) // FRAME]))
        i = j
    return pieces


def label_by_energy(x):
    frames = x[: len(x) // FRAME * FRAME].reshape(-1, FRAME)
    db = 10 * np.log10(np.mean(frames**2, axis=1) / 32768**2 + 1e-12)
    voiced = db > np.percentile(db, 90) - 30
    spans, start = [], None
    for n, v in enumerate([*voiced, False]):
        if v and start is None:
            start = n
        elif not v and start is not None:
            if spans and start - spans[-1][1] < 11:
                spans[-1][1] = n
            else:
                spans.append([start, n])
            start = None
    return [(a / 50, b / 50) for a, b in spans if b - a >= 4]


class Material:
    def __init__(self, labelled, talkers, leave_out):
        self.real, self.synthetic, self.noises = [], [], []
        labelled = Path(labelled)
        for path in sorted(labelled.glob("*.wav")):
            facts = json.loads(path.with_suffix(".json").read_text())
            if any(path.name.startswith(name) for name in leave_out):
                continue
            if facts["condition"] == "clean":
                self.real.append(utterances(read(path), facts["speech"]))
            elif facts["condition"] == "noise":
                self.noises.append(read(path))
            elif facts["condition"] == "noisy" and facts["snr_db"] == 20:
                # The same talk at 0 dB is beside it: two equations, so talk and noise can be had apart.
                quiet, loud = read(path), read(str(path).replace("snr20", "snr00"))
                noise = (loud - quiet) / 0.9
                self.noises.append(noise)
                self.real.append(utterances(quiet - 0.1 * noise, facts["speech"]))
        for path in sorted(Path(talkers).glob("*.wav")):
            x = read(path)
            pieces = utterances(x, label_by_energy(x))
            if pieces:
                self.synthetic.append(pieces)

    def talker(self, rng, real):
        pool = self.real if rng.uniform() < real else self.synthetic
        return pool[rng.integers(len(pool))]


def stretch(rng, x, labels, most=0.16):
    """Another talker from the same: resampled, which moves pitch and formants."""
    factor = 1 + rng.uniform(-most, most)
    n = int(len(x) / factor)
    y = np.interp(np.arange(n) * factor, np.arange(len(x)), x)
    if labels is None:
        return y
    count = n // FRAME
    return y[: count * FRAME], labels[np.minimum((np.arange(count) * factor).astype(int), len(labels) - 1)]


def babble(rng, material):
    x = np.zeros(CLIP)
    for _ in range(rng.integers(4, 13)):
        pieces = material.talker(rng, 0.75)
        voice = []
        while sum(map(len, voice)) < CLIP * 1.2:
            piece = at_level(pieces[rng.integers(len(pieces))][0], -26)
            piece = stretch(rng, piece, None, 0.2)
            voice.append(piece[::-1] if rng.uniform() < 0.15 else piece)
        voice = np.concatenate(voice)
        start = rng.integers(0, len(voice) - CLIP)
        x += voice[start:start + CLIP] * 10 ** (rng.normal(0, 2) / 20)
    if rng.uniform() < 0.5:
        x = reverb(rng, x)
    return x


def reverb(rng, x):
    t = np.arange(int(RATE * rng.uniform(0.08, 0.4))) / RATE
    tail = rng.standard_normal(len(t)) * np.exp(-t * rng.uniform(12, 50))
    tail[0] = rng.uniform(4, 15)
    return signal.fftconvolve(x, tail)[: len(x)]


def recorded(rng, material):
    x = material.noises[rng.integers(len(material.noises))]
    x = stretch(rng, x, None, 0.35)
    start = rng.integers(0, max(1, len(x) - CLIP))
    x = np.resize(x[start:], CLIP)
    if rng.uniform() < 0.3:
        x = x[::-1]
    return x


def tilt(rng, x, spread=4):
    knots = np.array([0, 300, 700, 1500, 3000, 4001])
    gains = rng.normal(0, spread, len(knots))
    spectrum = np.fft.rfft(x)
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    return np.fft.irfft(spectrum * 10 ** (np.interp(hz, knots, gains) / 20), len(x))


def noise(rng, material):
    x = np.zeros(CLIP)
    for _ in range(1 if rng.uniform() < 0.7 else 2):
        kind = rng.uniform()
        if kind < 0.42:
            part = recorded(rng, material)
        elif kind < 0.64:
            part = babble(rng, material)
        else:
            part = sounds.ALL[rng.integers(len(sounds.ALL))](rng, CLIP)
        part = tilt(rng, part) if rng.uniform() < 0.6 else part
        if rng.uniform() < 0.12:
            # It begins, or ends, or comes and goes.
            edges = np.sort(rng.integers(0, CLIP, rng.integers(1, 4)))
            gate = np.zeros(CLIP)
            gate[edges] = 1
            part = part * (np.cumsum(gate) % 2 if rng.uniform() < 0.5 else 1 - np.cumsum(gate) % 2)
        x += at_level(part, -26 + rng.normal(0, 3)) if np.any(part) else 0
    return x


def talk(rng, material):
    x, labels = np.zeros(CLIP), np.zeros(CLIP // FRAME, np.uint8)
    pieces = material.talker(rng, 0.7)
    factor_state = rng.bit_generator.state
    at = int(rng.exponential(0.8) * 50) * FRAME
    pause = rng.choice([0.3, 0.8, 2.0])
    while at < CLIP:
        if rng.uniform() < 0.1:
            pieces = material.talker(rng, 0.7)
        own = np.random.default_rng()
        own.bit_generator.state = factor_state
        piece, piece_labels = pieces[rng.integers(len(pieces))]
        piece, piece_labels = stretch(own, piece, piece_labels)
        if np.any(piece):
            piece = at_level(piece, -26 + rng.normal(0, 2.5))
        count = min(len(piece), CLIP - at)
        x[at:at + count] = piece[:count]
        labels[at // FRAME:(at + count) // FRAME] = piece_labels[: count // FRAME]
        at += len(piece) + int(rng.exponential(pause) * 50) * FRAME
    return x, labels


def line(rng, x):
    """The telephone: band limits, the codec's idle noise, clipping, μ-law."""
    if rng.uniform() < 0.8:
        low, high = rng.uniform(60, 320), rng.uniform(3000, 3800)
        x = signal.sosfilt(signal.butter(rng.integers(2, 5), [low, high], "band", fs=RATE, output="sos"), x)
    if rng.uniform() < 0.8:
        x = x + rng.standard_normal(CLIP) * 32768 * 10 ** (rng.uniform(-75, -55) / 20)
    if rng.uniform() < 0.1:
        x = x + rng.uniform(-300, 300)
    if rng.uniform() < 0.05:
        # Frames that got lost, and were replaced by silence.
        for start in rng.integers(0, CLIP // FRAME, 8):
            x[start * FRAME:(start + rng.integers(1, 5)) * FRAME] = 0
    return mulaw(np.clip(x, -32000, 32000))


def clip(rng, material):
    kind = rng.uniform()
    loud = rng.uniform(-45, -12)
    if kind < 0.74:
        x, labels = talk(rng, material)
        x = tilt(rng, x, 3) if rng.uniform() < 0.6 else x
        x = reverb(rng, x) if rng.uniform() < 0.15 else x
        active = np.repeat(labels, FRAME) > 0
        if active.any():
            x = x * 10 ** ((loud - level(x[active])) / 20)
        if kind < 0.66:
            snr = rng.uniform(-3, 28)
            x = x + at_level(noise(rng, material), loud - snr)
        if kind < 0.03:
            x = x + at_level(sounds.FROM_THE_LINE[rng.integers(4)](rng, CLIP), loud - rng.uniform(5, 30))
    elif kind < 0.9:
        x, labels = at_level(noise(rng, material), loud - 4), np.zeros(CLIP // FRAME, np.uint8)
    else:
        x = at_level(sounds.FROM_THE_LINE[rng.integers(4)](rng, CLIP), loud)
        labels = np.zeros(CLIP // FRAME, np.uint8)
    edges = np.flatnonzero(np.diff(labels.astype(int)))
    labels = labels.copy()
    labels[edges + 1] = 2
    return line(rng, x), labels


def main():
    labelled, talkers, out, count, seed, *leave_out = sys.argv[1:]
    material = Material(labelled, talkers, leave_out)
    print(len(material.real), "real talks,", len(material.synthetic), "synthetic,", len(material.noises), "noises")
    with open(out + ".pcm", "wb") as pcm, open(out + ".labels", "wb") as truth:
        for index in range(int(count)):
            rng = np.random.default_rng([int(seed), index])
            x, labels = clip(rng, material)
            pcm.write(x.astype("<i2").tobytes())
            truth.write(labels.astype(np.uint8).tobytes())


if __name__ == "__main__":
    main()
