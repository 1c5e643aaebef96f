"""Sounds that are no speech, made from numbers: noises, machines, rain, music, tones. 8 kHz, float, any level."""

import numpy as np

RATE = 8000


def shaped(rng, n, power):
    """Gaussian noise with the given power spectrum: a function of frequency in Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    hz = np.fft.rfftfreq(n, 1 / RATE)
    return np.fft.irfft(spectrum * np.sqrt(power(hz)), n)


def slow(rng, n, hz):
    """A slow random curve around 0, about ±1."""
    points = max(4, int(n / RATE * hz * 2) + 3)
    return np.interp(np.arange(n), np.linspace(0, n, points), rng.standard_normal(points))


def coloured(rng, n):
    knots = np.array([0, 150, 300, 600, 1200, 2400, 4001])
    gains = np.cumsum(rng.normal(-2, 5, len(knots)))
    x = shaped(rng, n, lambda hz: 10 ** (np.interp(hz, knots, gains) / 10))
    return x * 10 ** (slow(rng, n, rng.uniform(0.1, 4)) * rng.choice([0, 2, 5]) / 20)


def wind(rng, n):
    x = shaped(rng, n, lambda hz: 1 / (1 + (hz / rng.uniform(80, 500)) ** 3))
    return x * 10 ** (slow(rng, n, rng.uniform(0.2, 2)) * 8 / 20)


def engine(rng, n):
    f0 = rng.uniform(22, 140) * (1 + 0.05 * slow(rng, n, 0.3))
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    x = sum(rng.uniform(0, 1) / k**0.7 * np.sin(k * phase + rng.uniform(0, 6)) for k in range(1, 25))
    return x / x.std() + rng.uniform(0.2, 2) * coloured(rng, n)


def pass_by(rng, n):
    x = 0.1 * coloured(rng, n)
    for _ in range(rng.integers(1, 5)):
        t = (np.arange(n) - rng.integers(0, n)) / (RATE * rng.uniform(0.5, 3))
        x = x + shaped(rng, n, lambda hz: 1 / (1 + (hz / 700) ** 2)) / (1 + t * t) * 20
    return x


def strike(rng, bell):
    """One knock, click, clink or drop."""
    length = int(RATE * rng.uniform(0.004, 0.35 if bell else 0.08))
    t = np.arange(length) / RATE
    decay = np.exp(-t * rng.uniform(12, 80) * (1 if bell else 6))
    if bell:
        return decay * sum(rng.uniform() * np.sin(2 * np.pi * rng.uniform(400, 3800) * t) for _ in range(rng.integers(2, 7)))
    return decay * np.convolve(rng.standard_normal(length), rng.standard_normal(5), "same")


def strikes(rng, n):
    """Rain, keyboards, dishes, steps: strikes at random or in rhythm."""
    x = 0.003 * coloured(rng, n) * 10 ** rng.uniform(-1, 1)
    rate = 10 ** rng.uniform(-0.3, 2)
    if rng.uniform() < 0.3:
        at = np.arange(0, n, RATE / min(rate, 8)).astype(int)
    else:
        at = rng.integers(0, n, rng.poisson(rate * n / RATE) + 1)
    bell = rng.uniform() < 0.5
    for start in at:
        s = strike(rng, bell) * 10 ** rng.normal(0, 0.35)
        end = min(n, start + len(s))
        x[start:end] += s[: end - start]
    return x


def note(rng, hz, length, timbre):
    t = np.arange(length) / RATE
    vibrato = rng.choice([0, 0.004]) * np.sin(2 * np.pi * rng.uniform(4, 7) * t) / 5
    phase = 2 * np.pi * hz * (t + vibrato / 10)
    x = sum(a * np.sin(k * phase) for k, a in enumerate(timbre, 1) if k * hz < 3900)
    attack = np.minimum(1, t / rng.choice([0.004, 0.05, 0.15]))
    release = np.minimum(1, (length / RATE - t) / 0.05)
    return x * attack * release * np.exp(-t * rng.choice([0.2, 1, 4]))


def music(rng, n):
    x = np.zeros(n)
    beat = RATE * 60 / rng.uniform(60, 150)
    scale = np.array([0, 2, 4, 5, 7, 9, 11] if rng.uniform() < 0.5 else [0, 2, 3, 5, 7, 8, 10])
    root = rng.uniform(100, 220)
    for _ in range(rng.integers(1, 4)):
        timbre = rng.uniform(0, 1, rng.integers(1, 14)) / np.arange(1, 15)[: rng.integers(1, 14)].repeat(1)[0]
        timbre = timbre / np.arange(1, len(timbre) + 1) ** rng.uniform(0.2, 2)
        step, octave, chord = rng.choice([0.25, 0.5, 1, 2, 4]), rng.choice([0.5, 1, 2, 4]), rng.integers(1, 4)
        at = rng.uniform(0, beat)
        while at < n - 500:
            degree = rng.integers(0, 7)
            for c in range(chord):
                d = degree + 2 * c
                hz = root * octave * 2 ** ((scale[d % 7] + 12 * (d // 7)) / 12)
                s = note(rng, hz, int(step * beat * rng.uniform(0.6, 1.1)), timbre)
                end = min(n, int(at) + len(s))
                x[int(at):end] += s[: end - int(at)]
            at += step * beat
    if rng.uniform() < 0.6:
        pattern = rng.uniform(0, 1, 8) < 0.5
        for i, at in enumerate(np.arange(0, n - 2000, beat / 2)):
            if pattern[i % 8]:
                s = strike(rng, False) * rng.uniform(0.5, 2)
                x[int(at):int(at) + len(s)] += s[: n - int(at)]
    return x


def sweeps(rng, n):
    """Sirens, chirps of birds, horns, whistles."""
    x = 0.01 * coloured(rng, n)
    at = 0
    low, high = np.sort(rng.uniform(400, 3600, 2))
    length = int(RATE * 10 ** rng.uniform(-1.3, 0.3))
    while at < n:
        t = np.arange(length) / length
        shape = rng.choice(4)
        curve = [t, 1 - t, 0.5 - 0.5 * np.cos(2 * np.pi * t), 0 * t][shape]
        x_part = np.sin(2 * np.pi * np.cumsum(low + (high - low) * curve) / RATE)
        if rng.uniform() < 0.3:
            x_part += 0.5 * np.sin(4 * np.pi * np.cumsum(low + (high - low) * curve) / RATE)
        end = min(n, at + length)
        x[at:end] += (x_part * np.minimum(1, 20 * np.minimum(t, 1 - t)))[: end - at]
        at += length + int(RATE * rng.exponential(0.3))
    return x


TONES = {
    "ringback": ([(440, 480), (425,), (400, 450), (440, 480)], [(2, 4), (1, 4), (1, 3), (1.5, 3)]),
    "busy": ([(480, 620), (425,), (400,)], [(0.5, 0.5), (0.25, 0.25), (0.375, 0.375), (0.2, 0.2)]),
    "dial": ([(350, 440), (425,), (400, 425)], [(60, 0)]),
    "beep": ([(1000,), (1400,), (850,), (440,), (2000,)], [(0.4, 3), (0.8, 8), (0.15, 1)]),
    "fax": ([(1100,), (2100,)], [(0.5, 3), (3, 1)]),
    "sit": ([(950,), (1400,), (1800,)], [(0.33, 0.1)]),
}


def dtmf(rng, n):
    x = np.zeros(n)
    at = rng.integers(0, RATE)
    on, off = int(RATE * rng.uniform(0.05, 0.4)), int(RATE * rng.uniform(0.05, 0.8))
    while at + on < n:
        t = np.arange(on) / RATE
        low, high = rng.choice([697, 770, 852, 941]), rng.choice([1209, 1336, 1477, 1633])
        x[at:at + on] = np.sin(2 * np.pi * low * t) + 10 ** (rng.uniform(-6, 4) / 20) * np.sin(2 * np.pi * high * t)
        at += on + int(off * rng.uniform(0.5, 2))
    return x


def tones(rng, n):
    kind = rng.choice(["dtmf", *TONES])
    if kind == "dtmf":
        x = dtmf(rng, n)
    else:
        hz, cadences = TONES[kind]
        on, off = cadences[rng.integers(len(cadences))]
        start = rng.uniform(0, on + off)
        t = np.arange(n) / RATE
        gate = ((t + start) % (on + off)) < on
        chosen = hz[rng.integers(len(hz))]
        if kind == "sit":
            which = ((t + start) // (on + off)).astype(int) % 4
            freq = np.array([950, 1400, 1800, 0])[which]
            x = np.sin(2 * np.pi * freq * t) * gate * (freq > 0)
        else:
            x = gate * sum(np.sin(2 * np.pi * h * t + rng.uniform(0, 6)) for h in chosen)
    return x + 10 ** rng.uniform(-4, -1.3) * coloured_unit(rng, n)


def hum(rng, n):
    t = np.arange(n) / RATE
    f = rng.choice([50, 60]) * rng.uniform(0.998, 1.002)
    x = sum(rng.uniform(0, 1) / k**0.5 * np.sin(2 * np.pi * f * k * t + rng.uniform(0, 6)) for k in range(1, rng.integers(3, 40)))
    return x / x.std() + rng.uniform(0, 0.5) * coloured_unit(rng, n)


def clicks(rng, n):
    x = np.zeros(n)
    at = rng.integers(0, n, rng.integers(3, 60))
    x[at] = rng.normal(0, 1, len(at))
    if rng.uniform() < 0.5:
        x = np.convolve(x, rng.standard_normal(rng.integers(2, 30)), "same")
    return x + 10 ** rng.uniform(-4, -2) * rng.standard_normal(n)


def coloured_unit(rng, n):
    x = coloured(rng, n)
    return x / (x.std() + 1e-9)


STEADY = [coloured, wind, engine, pass_by, strikes]
ALL = [coloured, wind, engine, pass_by, strikes, strikes, music, music, music, sweeps]
FROM_THE_LINE = [tones, tones, hum, clicks]
