"""What the console's tests in a browser share: a server, a browser with a microphone, what is seen and heard."""

import base64
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import wave

HERE = pathlib.Path(__file__).parent
CALLERS = HERE / "../../../fixtures/callers"
AXE = pathlib.Path(os.environ.get("AXE", HERE / "../../../target/console-npm/node_modules/axe-core/axe.min.js"))
OFFHOOK = pathlib.Path(sys.argv[1]).resolve()
SHOTS = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="console-"))
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
# When each line of the order begins, in seconds after the microphone opens; the third is spoken over the agent.
ORDER = [("pizza-1", 4.2), ("pizza-2", 8.0), ("pizza-3", 12.2), ("pizza-4", 16.0), ("pizza-5", 19.5), ("pizza-6", 26.5)]

# Those that a test has opened.
PAGES = []


def mulaw_to_linear(octet):
    bits = ~octet & 0xFF
    magnitude = ((((bits & 0x0F) << 3) + 0x84) << ((bits & 0x70) >> 4)) - 0x84
    return -magnitude if bits & 0x80 else magnitude


def fixture(name):
    """A fixture's samples: μ-law in a WAV container, which Python's `wave` doesn't read."""
    data = (CALLERS / f"{name}.wav").read_bytes()
    begin = data.index(b"data") + 8
    size = int.from_bytes(data[begin - 4 : begin], "little")
    return [mulaw_to_linear(octet) for octet in data[begin : begin + size]]


def microphone(path, lines, seconds):
    """The fake microphone's file: 16 bits at 48 kHz, each sample six times. The page's filter takes what that adds above 4 kHz."""
    samples = [0] * (8000 * seconds)
    for name, at in lines:
        for offset, sample in enumerate(fixture(name)):
            samples[int(at * 8000) + offset] = sample
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(b"".join(struct.pack("<h", sample) * 6 for sample in samples))


class Server:
    """`offhook serve` on a free port; with its own key, or with tokens."""

    def __init__(self, *args, env=None, folder=None):
        self.folder = folder or pathlib.Path(tempfile.mkdtemp(prefix="console-calls-"))
        clean = {name: value for name, value in os.environ.items() if not re.match("TWILIO_|OFFHOOK_|PORT$", name)}
        command = [OFFHOOK, "serve", "--listen", "127.0.0.1:0", "--record", self.folder, "--compress=false", *args]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=(SHOTS / "server.log").open("a"), text=True, env=clean | (env or {}), cwd=self.folder)
        self.page = self.address = None
        for line in self.process.stdout:
            if found := re.search(r"listens on (http\S+)", line):
                self.address = found[1]
            if found := re.search(r"console +(http\S+)", line):
                self.page = found[1]
                break
        assert self.page, "the server prints no address of the console"
        threading.Thread(target=lambda: [None for _ in self.process.stdout], daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Doubles:
    """`offhook doubles`: providers that say what they are told to, and fail when they are told to."""

    def __init__(self, hears=(), answers=(), profile="instant", faults=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="console-doubles-"))
        # Words are heard as soon as there is a voice; after the last line nothing more is.
        lines = [{"text": text, "ends_ms": [60 * word for word, _ in enumerate(text.split(), 1)]} for text in [*hears, "", "", ""]]
        inline = ", ".join("{ text = %s, ends_ms = %s }" % (json.dumps(line["text"], ensure_ascii=False), json.dumps(line["ends_ms"])) for line in lines)
        told = ""
        for heard, said, *tools in answers:
            told += f"[[answers]]\nheard = {json.dumps(heard)}\nsay = {json.dumps(said)}\n"
            told += "".join(f"calls = [{{ name = {json.dumps(tool)} }}]\n" for tool in tools if tool)
        (self.folder / "script.toml").write_text(f"caller = [{inline}]\n{told}")
        (self.folder / "faults.toml").write_text(faults)
        command = [OFFHOOK, "doubles", "--port", "0", "--profile", profile, "--script", self.folder / "script.toml", "--voice", "hum"]
        if faults:
            command += ["--faults", self.folder / "faults.toml"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = int(re.search(r":(\d+)", self.process.stdout.readline())[1])
        threading.Thread(target=lambda: [None for _ in self.process.stdout], daemon=True).start()

    @property
    def stt(self):
        return f'[[stt]]\nprovider = "deepgram"\nmodel = "nova-3"\nurl = "ws://127.0.0.1:{self.port}/v1/listen"\n'

    @property
    def llm(self):
        return f'[[llm]]\nprovider = "openai"\nmodel = "double"\nbase_url = "http://127.0.0.1:{self.port}/v1"\n'

    @property
    def tts(self):
        return f'[[tts]]\nprovider = "elevenlabs"\nmodel = "eleven_flash_v2_5"\nvoice = "x"\nbase_url = "ws://127.0.0.1:{self.port}"\n'

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


# Any key opens a double.
KEYS = {"OPENAI_API_KEY": "any", "DEEPGRAM_API_KEY": "any", "ELEVENLABS_API_KEY": "any"}


def browser(play, wav=None, env=None):
    args = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", "--autoplay-policy=no-user-gesture-required"]
    if wav:
        args.append(f"--use-file-for-fake-audio-capture={wav}%noloop")
    return play.chromium.launch(executable_path=CHROMIUM, args=args, env=env)


def open_page(context, url, quiet=True):
    page = context.new_page()
    PAGES.append(page)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(f"error: {error}"))
    page.on("console", lambda message: message.type in ("error", "warning") and page.faults.append(message.text))
    page.goto(url)
    page.locator("#views a").first.wait_for()
    page.locator("h1").first.wait_for(state="attached")
    return page


def eventually(what, condition, seconds=15):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := condition():
            return value
        time.sleep(0.1)
    # What was to be seen is left as pictures.
    for number, page in enumerate(PAGES):
        if not page.is_closed():
            page.screenshot(path=SHOTS / f"failed-{number}.png", timeout=5000)
    raise AssertionError(f"it never came: {what}")


def shot(page, name):
    page.screenshot(path=SHOTS / f"{name}.png")


def transcript(page):
    return page.locator(".line").evaluate_all("lines => lines.map(line => [line.classList.contains('caller') ? 'caller' : 'agent', line.querySelector('.words').textContent])")


def accessible(page, what):
    """No finding of axe's."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] }).then(result => result.violations.map(v => [v.id, v.help, v.nodes.map(n => n.target.join(' ') + ' ' + n.any.map(a => a.message).join('; '))]))")
    assert found == [], f"{what}: {json.dumps(found, indent=1)}"


def right_channel(path):
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        frames = file.readframes(file.getnframes())
    return [sample for _, sample in struct.iter_unpack("<hh", frames)]


def sent_sound(folder):
    """What the server sent, from the call's tape: runs of samples between `clear`s."""
    runs = [[]]
    (tape,) = folder.glob("*.tape.jsonl")
    for line in tape.read_text().splitlines()[1:]:
        output = json.loads(line).get("out")
        if output == "clear":
            runs.append([])
        elif isinstance(output, dict) and "media" in output:
            runs[-1] += [mulaw_to_linear(octet) for octet in base64.b64decode(output["media"])]
    return [run for run in runs if run]


def sounding(samples):
    """Its frames of 20 ms, but for silent ones: silence within what was sent can't be told from silence between."""
    frames = [tuple(samples[at : at + 160]) for at in range(0, len(samples), 160)]
    return [frame for frame in frames if any(frame)]


def check_playout(heard, runs):
    """Twilio's rule, told another way than the page's code does: each run is heard from its begin, without a sample left out, until it
    ends or a `clear` comes; nothing else is heard. Gives how many runs were cut."""
    heard, at, cut = sounding(heard), 0, 0
    for run in map(sounding, runs):
        want = 0
        while want < len(run) and at < len(heard) and heard[at] == run[want]:
            at += 1
            want += 1
        cut += want < len(run)
    assert at == len(heard) and at > 100, f"{len(heard) - at} frames were heard that were not sent, after {at}"
    return cut
