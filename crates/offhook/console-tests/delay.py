"""What the page adds between mouth and ear, against `offhook call`: the echo agent gives back a click, which goes into the browser's
microphone and comes out at its loudspeaker."""

import pathlib
import random
import struct
import subprocess
import tempfile
import wave

from bench import OFFHOOK, Server, browser, open_page

RATE = 48_000
# A click each so many seconds: longer than any echo takes, and never at the same place of a frame.
EVERY = 1.037
CLICKS = 9
# What is taken at the microphone and at the loudspeaker, side by side, on one clock: the browser's own. Beside the page's code, which it
# doesn't touch. A ScriptProcessor is old, but needs no file, which the page's policy would refuse.
TAP = """() => {
    const connect = AudioNode.prototype.connect;
    const open = AudioContext.prototype.createMediaStreamSource;
    const taps = new WeakMap();
    const tap = (context) => {
        if (!taps.has(context)) {
            const merger = context.createChannelMerger(2);
            const processor = context.createScriptProcessor(4096, 2, 1);
            window.tapped = { rate: context.sampleRate, mouth: [], ear: [], latency: () => [context.baseLatency, context.outputLatency] };
            processor.onaudioprocess = ({ inputBuffer }) => {
                // Copied as they are: whatever keeps the page's thread busy delays the call itself.
                window.tapped.mouth.push(inputBuffer.getChannelData(0).slice());
                window.tapped.ear.push(inputBuffer.getChannelData(1).slice());
            };
            connect.call(merger, processor);
            connect.call(processor, context.destination);
            taps.set(context, merger);
        }
        return taps.get(context);
    };
    AudioContext.prototype.createMediaStreamSource = function (stream) {
        const source = open.call(this, stream);
        connect.call(source, tap(this), 0, 0);
        return source;
    };
    AudioNode.prototype.connect = function (to, ...rest) {
        if (this instanceof AudioWorkletNode && to === this.context.destination) connect.call(this, tap(this.context), 0, 1);
        return connect.call(this, to, ...rest);
    };
}"""


def clicks(path, rate):
    """A caller who says nothing but clicks: 4 ms of noise each, which every filter of a telephone lets pass."""
    noise = random.Random(1)
    samples = [0] * int(rate * (EVERY * CLICKS + 2))
    for number in range(CLICKS):
        at = int(rate * (1.5 + EVERY * number))
        for offset in range(rate // 250):
            samples[at + offset] = noise.randint(-20_000, 20_000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))


def begins(samples, rate):
    """When clicks begin, in milliseconds: where it gets loud after quiet."""
    loudest = max((abs(sample) for sample in samples), default=0)
    found, quiet = [], 0
    for at, sample in enumerate(samples):
        if abs(sample) < loudest / 5:
            quiet += 1
            continue
        if quiet > rate // 10:
            found.append(at * 1000 / rate)
        quiet = 0
    return found


def echoes(mouth, ear, rate):
    """For each click the time until it came back."""
    back = begins(ear, rate)
    times = []
    for click in begins(mouth, rate):
        if later := [at - click for at in back if 0 < at - click < EVERY * 1000]:
            times.append(later[0])
    return sorted(times)


def middle(times):
    assert len(times) > CLICKS // 2, times
    return times[len(times) // 2]


def by_call(server, folder):
    """By `offhook call`: the recording's sides."""
    subprocess.run([OFFHOOK, "call", f"{server.address}/voice", "--say", folder / "clicks-8000.wav", "--out", folder, "--hang-up-after", "1s"], capture_output=True, timeout=90, check=False)
    with wave.open(str(folder / "call.wav")) as file:
        rate, frames = file.getframerate(), file.readframes(file.getnframes())
    pairs = list(struct.iter_unpack("<hh", frames))
    return echoes([left for left, _ in pairs], [right for _, right in pairs], rate)


def by_page(play, server, folder):
    """By the page: from the microphone's samples to the loudspeaker's. Also what the browser has between there and the sound card."""
    with browser(play, folder / "clicks.wav") as chromium:
        context = chromium.new_context()
        context.add_init_script(f"({TAP})()")
        page = open_page(context, server.page)
        page.get_by_label("Echo cancellation").evaluate("box => box.checked = false")
        page.get_by_role("button", name="Call, with the microphone").click()
        page.wait_for_timeout((EVERY * CLICKS + 4) * 1000)
        page.get_by_role("button", name="Hang up").click()
        rate, mouth, ear, latency = page.evaluate("() => { const { rate, mouth, ear, latency } = window.tapped; const whole = (parts) => parts.flatMap((part) => Array.from(part, (x) => Math.round(x * 32767))); return [rate, whole(mouth), whole(ear), latency()]; }")
        assert all("ScriptProcessor" in fault for fault in page.faults), page.faults
    return echoes(mouth, ear, rate), latency[0] * 1000


def delay(play):
    """What is late once in a call of echoes stays late, so a machine that is busy for a moment spoils one: the best of three counts."""
    with Server("--agent", "echo") as server, tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        clicks(folder / "clicks-8000.wav", 8000)
        clicks(folder / "clicks.wav", RATE)
        direct = min(middle(by_call(server, folder)) for _ in range(2))
        for _ in range(3):
            times, card = by_page(play, server, folder)
            more = middle(times) - direct
            print(f"  a click comes back after {direct:.0f} ms by `offhook call`, after {middle(times):.0f} ms ({times[0]:.0f} to {times[-1]:.0f}) by the page: {more:.0f} ms more; from there to the sound card the browser needs {card:.0f} ms")
            if more < 60:
                return
        raise AssertionError("the page adds 60 ms or more, three times")
