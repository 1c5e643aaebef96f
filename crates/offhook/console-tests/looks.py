"""How each view looks, in both themes, on a desk and a phone: compared with the pictures in looks/, which `make looks` makes again.

What is shown is made up, so that it is always the same: nothing of it is asked of a server but the page itself."""

import io
import json
import os
import struct
import tempfile

from PIL import Image, ImageChops

from bench import HERE, SHOTS, Server, accessible, browser, fixture, open_page

KEPT = HERE / "looks"
# A pixel differs if a channel does by more than that: letters' edges are drawn otherwise by every release of a browser.
STEP = 56
# So many pixels of a picture may.
SHARE = 0.004
NOW = "2026-11-30T10:42:00Z"
NOW_MS = 1796035320000
SID = "CA0123456789abcdef0123456789abcdef"
# The only letters there are, on every machine: those of fonts-dejavu-core.
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<dir>/usr/share/fonts/truetype/dejavu</dir><cachedir>{cache}</cachedir>
<selectfont><rejectfont><glob>*</glob></rejectfont>
<acceptfont><glob>*/DejaVuSans.ttf</glob></acceptfont><acceptfont><glob>*/DejaVuSans-Bold.ttf</glob></acceptfont>
<acceptfont><glob>*/DejaVuSansMono.ttf</glob></acceptfont><acceptfont><glob>*/DejaVuSansMono-Bold.ttf</glob></acceptfont></selectfont>
<match target="pattern"><edit name="family" mode="append" binding="weak"><string>DejaVu Sans</string></edit></match>
</fontconfig>"""


def provider(does, name, **more):
    return {"does": does, "name": name, "circuit": "closed", "asked": 41, "answered": 41, "failed": 0, "too_slow": 0, "took_over": 0, "opened": 0} | more


SERVER = {
    "version": "0.1.0", "draining": False, "talking": 3, "places_calls": True, "keeps_calls": True, "signed": True, "tenant": None, "person": "ann@example.com", "routes_ask_first": False, "workers_late_ms": [0.4, 2.1], "turned_away": 0,
    "routes": [
        {"when": ["to +14155550199", "on sat, sun", "by the clock of America/Los_Angeles"], "agent": None, "say": "We are closed at weekends.", "tenant": None, "language": None, "voice": None, "greeting": None, "goal": None},
        {"when": ["from +49"], "agent": "front-desk", "say": None, "tenant": "blue-door", "language": "de-DE", "voice": None, "greeting": None, "goal": None},
    ],
    "agents": [
        {"name": "front-desk", "language": "en-US", "transport": "media-streams", "stages": "StageSet(deepgram+pocketsphinx, openai+anthropic, elevenlabs+flite)", "tools": ["find_table", "book_table"], "goal": None, "transfers": ["kitchen"],
         "providers": [provider("hears", "deepgram"), provider("hears", "pocketsphinx", asked=0), provider("thinks", "openai", circuit="open", failed=7, asked=12, opened=1), provider("thinks", "anthropic", asked=36, took_over=7), provider("speaks", "elevenlabs"), provider("speaks", "flite", asked=0)]},
        {"name": "kiosk", "language": "de-DE", "transport": "conversation-relay", "stages": "StageSet(twilio, openai, twilio)", "tools": [], "goal": "Sell a ticket.", "transfers": [], "providers": []},
    ],
}
LIVE = [
    {"sid": f"CA{n:032x}" if n else SID, "direction": "inbound" if n % 3 else "outbound", "agent": "front-desk", "to": "+14155550101", "from": f"+141555502{n:02}", "status": "in-progress", "talking": True, "verdict": None, "since": NOW_MS // 1000 - 7 * n - 4, "last": {"who": "caller" if n % 2 else "agent", "text": text}}
    for n, text in enumerate(["A table for four, at eight?", "Yes, on Friday.", "One moment, please.", "Do you have anything outside?"])
]
HISTORY = [
    {"id": f"CA{n:032x}" if n else SID, "state": "lost" if n == 5 else "over", "agent": "front-desk", "direction": "inbound", "from": f"+141555502{n:02}", "to": "+14155550101", "status": "completed", "ended": ["stream_stopped", "agent_done", "caller_silent"][n % 3], "verdict": None if n % 4 else "achieved", "started_at": NOW, "started_at_ms": NOW_MS - n * 4_321_000, "duration_ms": 31_000 + n * 7_000, "turns": 4 + n, "interruptions": n % 3, "errors": int(n % 5 == 2), "answer_p50_ms": 540 + 31 * n, "answer_p95_ms": 720 + 113 * n, "cost": None}
    for n in range(24)
]


def events():
    """A call that is cut off once, interrupted once, and looks something up in vain."""

    def turn(began, end, text, evidence, decided=350):
        return [(began + 60, "speech_started", {"at_ms": began}), (end - 300, "hearing", {"text": text}), (end + 40, "speech_paused", {"at_ms": end}), (end + 60, "waiting", {"until_ms": end + decided, "evidence": evidence}), (end + decided, "turn_ended", {"text": text, "began_ms": began, "speech_end_ms": end, "decided_ms": end + decided, "evidence": evidence})]

    def timed(end, first, **more):
        return [(end + first, "reply_timed", {"speech_end_ms": end, "transcript_ms": 180, "decided_ms": 350, "requested_ms": 200, "first_text_ms": 420, "first_audio_ms": 560, "first_frame_ms": first} | more)]

    def said(at, until, number, text, what="reply", heard=None):
        return [(at, "speaking", {"utterance": number, "what": what, "text": text}), (until, "said", {"utterance": number, "what": what, "text": text, "heard": text if heard is None else heard, "interrupted": heard is not None, "timed": True})]

    told = [
        *said(100, 2600, 1, "Blue Door, good day. What can I do for you?", "greeting"),
        *turn(3100, 5000, "I'd like a table for four.", "punctuation"), *timed(5000, 610),
        *said(5610, 9000, 2, "For four, gladly. For which day, and at what time would you like to come?", heard="For four, gladly. For which day,"),
        (7900, "barge_in", {"stage": "suspected", "after_ms": 200}), (8100, "barge_in", {"stage": "interrupted", "after_ms": 240}),
        *turn(7700, 9300, "On Friday at eight.", "grammar_complete"), *timed(9300, 2310, first_text_ms=2120, first_audio_ms=2260),
        (9800, "tool", {"name": "find_table", "stage": "asked", "after_ms": 0}), (11100, "tool", {"name": "find_table", "stage": "failed", "after_ms": 1300}),
        (11200, "trouble", {"message": "find_table answered with 500: the database is away"}),
        *said(11610, 15000, 3, "I can't see our book at the moment. May I call you back?"),
        (15600, "digits", {"count": 1}),
        (18200, "ended", {"why": "stream_stopped"}),
    ]
    return [{"t_ms": at, "event": name} | more for at, name, more in sorted(told, key=lambda event: event[0])]


DOCUMENT = {
    "id": SID, "state": "over", "agent": "front-desk", "direction": "inbound", "from": "+14155550200", "to": "+14155550101", "language": "en-US", "started_at_ms": NOW_MS, "duration_ms": 18_200, "ended": "stream_stopped",
    "events": [event | {"at_ms": event.get("at_ms", event["t_ms"])} for event in events()],
    "usage": {"openai": {"requests": 3, "failures": 1, "input_tokens": 812, "output_tokens": 96}, "elevenlabs": {"requests": 3, "failures": 0, "characters": 148}},
    "tools": [{"name": "find_table", "at_ms": 9800, "result": "failed", "took_ms": 1300}],
    "cost": {"total": 0.0213, "by_provider": {"openai": 0.0061, "elevenlabs": 0.0152}, "unpriced": []}, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
}
STORY = {"chapters": [{"title": "turn 1 3.10 s to 5.00 s “I'd like a table for four.”", "moments": [{"at_ms": 5060, "who": "engine", "what": "waits up to 350 ms: the words end as a sentence does"}]}, {"title": "turn 2 7.70 s to 9.30 s “On Friday at eight.”", "moments": [{"at_ms": 11100, "who": "llm", "what": "find_table failed after 1300 ms"}]}]}


def sound():
    """Both sides, of the fixtures' speech, as a WAV of μ-law."""
    sides = [bytearray(b"\xff" * (8 * 18_200)) for _ in range(2)]

    def octets(name):
        data = (HERE / f"../../../fixtures/callers/{name}.wav").read_bytes()
        return data[data.index(b"data") + 8 :]

    for side, name, at, until in [(0, "pizza-1", 3100, 5000), (0, "pizza-3", 7700, 9300), (1, "booking-1", 100, 2600), (1, "booking-2", 5610, 8100), (1, "booking-3", 11610, 15000)]:
        speech = octets(name)[: 8 * (until - at)]
        sides[side][8 * at : 8 * at + len(speech)] = speech
    data = bytes(octet for pair in zip(*sides) for octet in pair)
    return b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 7, 2, 8000, 16000, 2, 8) + b"data" + struct.pack("<I", len(data)) + data


def stream():
    """The call as it happens, without its last events: it goes on."""
    call = {"sid": SID, "talking": True, "agent": "front-desk", "direction": "inbound", "from": "+14155550200", "to": "+14155550101", "status": "in-progress", "language": "en-US", "transcript": [], "replies": [], "parameters": {"table": "4"}}
    parts = [("snapshot", call)] + [("call", event) for event in events() if event["t_ms"] < 15_000]
    return "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in parts)


def made_up(context):
    answers = {
        "/server": SERVER, "/calls?running=true": {"calls": LIVE}, f"/calls/{SID}": LIVE[0], f"/v1/history/{SID}": DOCUMENT, f"/v1/tapes/{SID}": STORY,
        "/agents/check": {"faults": ["line 8: unknown field `modell`, did you mean `model`?"]},
    }

    def answer(route):
        path = route.request.url.split("/", 3)[3]
        if path.startswith("console/"):
            route.continue_()
        elif path.endswith("/events"):
            route.fulfill(body=stream(), content_type="text/event-stream")
        elif path.endswith("/sound"):
            route.fulfill(body=sound(), content_type="audio/wav")
        elif path.startswith("v1/history?"):
            route.fulfill(json={"calls": HISTORY, "next": None})
        elif (found := answers.get(f"/{path}")) is not None:
            route.fulfill(json=found)
        else:
            route.fulfill(status=404, json={"error": {"code": "unknown", "message": f"nothing is made up for {path}"}})

    context.route("**/*", answer)


VIEWS = {"talk": "#/talk", "live": f"#/live/{SID}", "history": "#/history", "call": f"#/history/{SID}", "agents": "#/agents"}


def compare(name, picture):
    """Whether a view looks as it did; if not, why, with a picture of where."""
    kept = KEPT / f"{name}.png"
    now = Image.open(io.BytesIO(picture)).convert("RGB")
    if os.environ.get("LOOKS") == "update":
        KEPT.mkdir(exist_ok=True)
        now.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(kept, optimize=True)
        return None
    if not kept.exists():
        return f"{name}: there is no picture of it; `make looks` makes one"
    before = Image.open(kept).convert("RGB")
    if before.size != now.size:
        return f"{name}: {before.size} has become {now.size}"
    differs = ImageChops.difference(before, now)
    red, green, blue = differs.split()
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue).point(lambda value: 255 if value > STEP else 0)
    share = most.histogram()[255] / (now.width * now.height)
    if share <= SHARE:
        return None
    marked = Image.composite(Image.new("RGB", now.size, (255, 0, 90)), now, most)
    marked.save(SHOTS / f"differs-{name}.png")
    return f"{name}: {share:.2%} of it differ, marked in {SHOTS / f'differs-{name}.png'}; if that is meant, `make looks` keeps it"


def looks(play):
    """Every view, as its picture has it."""
    with Server() as server, tempfile.TemporaryDirectory() as cache:
        config = f"{cache}/fonts.conf"
        with open(config, "w") as file:
            file.write(FONTS.format(cache=cache))
        wrong, far = [], 0
        with browser(play, env=os.environ | {"FONTCONFIG_FILE": config}) as chromium:
            for theme in ("light", "dark"):
                for device, (width, height) in (("desk", (1360, 860)), ("phone", (390, 844))):
                    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce", locale="en-GB", timezone_id="UTC")
                    made_up(context)
                    page = context.new_page()
                    page.clock.set_fixed_time(NOW)
                    page.goto(server.page)
                    page.locator("h1").first.wait_for(state="attached")
                    for view, where in VIEWS.items():
                        page.evaluate("where => { location.hash = where; }", where)
                        page.wait_for_timeout(900)
                        page.evaluate("document.activeElement.blur()")
                        name = f"{view}-{theme}-{device}"
                        if found := compare(name, page.screenshot(animations="disabled")):
                            wrong.append(found)
                        accessible(page, name)
                        far += 1
                    context.close()
        assert not wrong, "\n".join(wrong)
        print(f"  {far} pictures {'made' if os.environ.get('LOOKS') == 'update' else 'as they were'}")
