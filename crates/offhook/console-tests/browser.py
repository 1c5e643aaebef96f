"""The console in a real browser: a spoken order, what is watched, what is kept, what is refused, and how it looks.

Usage: browser.py OFFHOOK [FOLDER FOR SCREENSHOTS [TEST …]]. Needs PyPI's playwright; Chromium is Debian's, axe-core npm's.
"""

import http.server
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from playwright.sync_api import sync_playwright

from bad_calls import bad_calls
from delay import delay
from looks import looks
from crowd import history, many
from trouble import trouble
from served import application, signed_in
from bench import (
    CALLERS, OFFHOOK, ORDER, PAGES, SHOTS, Server, accessible, browser, check_playout, eventually, microphone, open_page, right_channel, sent_sound, transcript,
)


def spoken_order(play):
    """A whole order through the page, spoken, with an interruption; then the call is saved, and said again by `offhook call`."""
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        microphone(folder / "order.wav", ORDER, 40)
        with browser(play, folder / "order.wav") as chromium:
            context = chromium.new_context(viewport={"width": 1360, "height": 860}, accept_downloads=True)
            page = open_page(context, server.page)
            assert "key=" not in page.url, "the key stays in the address"
            page.get_by_label("Echo cancellation").evaluate("box => box.checked = false")
            page.get_by_role("button", name="Call, with the microphone").click()
            page.wait_for_timeout(13_500)
            page.screenshot(path=SHOTS / "talk-call.png")
            eventually("the agent hangs up, or has said goodbye", lambda: any("ready in" in words for _, words in transcript(page)), 40)
            # The agent says goodbye, and hangs up.
            page.get_by_role("button", name="Call again").wait_for(timeout=20_000)
            page.get_by_text("The agent hung up.", exact=True).wait_for()
            page.wait_for_timeout(2000)
            page.screenshot(path=SHOTS / "talk-over.png")
            said = transcript(page)
            agent = " ".join(words for who, words in said if who == "agent")
            caller = [words for who, words in said if who == "caller"]
            assert re.search("two large pepperoni pizzas and one bottle of water, for delivery", agent), said
            assert "what are your opening hours" in caller, said
            assert page.locator("del").count() >= 1, "nothing is struck out, but the caller interrupted"
            accessible(page, "after a call")
            with page.expect_download() as sound:
                page.get_by_role("button", name="Save the sound").click()
            with page.expect_download() as test:
                page.get_by_role("button", name="Save as a test").click()
            sound.value.save_as(folder / "call.wav")
            test.value.save_as(folder / "caller.zip")
            assert page.faults == [], page.faults
        time.sleep(1)
        cut = check_playout(right_channel(folder / "call.wav"), sent_sound(server.folder))
        assert cut >= 1, "the interruption cut nothing"
        shutil.unpack_archive(folder / "caller.zip", folder)
        command = [OFFHOOK, "call", f"{server.address}/voice", "--caller", folder / "caller/caller.toml", "--json"]
        again = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=90).stdout)
        turns = again["turns"]
        assert len(turns) >= 5 and all(turn["response_ms"] is not None for turn in turns[:5]), again
        assert any(turn["barge_in"] for turn in turns), again
        print("  said again by `offhook call`:", ", ".join(turn["said"] for turn in turns))


def typed_call(play):
    """Words typed, keys pressed, on a bad line; watched and reached into from a second page."""
    with Server("--agent", "pizza") as server, browser(play) as chromium:
        context = chromium.new_context(viewport={"width": 1360, "height": 860})
        page = open_page(context, server.page)
        page.get_by_label("Line").select_option("noisy")
        page.get_by_role("button", name="Call without a microphone").click()
        page.get_by_label("Type what the caller says").wait_for()
        eventually("the greeting", lambda: transcript(page))
        other = open_page(context, server.page.replace("#key", "?2#key"))
        other.get_by_role("link", name="Live").click()
        other.locator(".rows a").first.click()
        other.get_by_role("button", name="Listen in").click()
        page.wait_for_timeout(4000)
        page.get_by_label("Type what the caller says").fill("what are your opening hours")
        page.keyboard.press("Enter")
        eventually("an answer", lambda: any("eleven in the morning" in words for _, words in transcript(page)))
        eventually("the answer in the other page", lambda: any("eleven in the morning" in words for _, words in transcript(other)))
        other.get_by_label("Have the agent say").fill("This call is listened to.")
        other.keyboard.press("Enter")
        eventually("what was said from outside", lambda: any("listened to" in words for _, words in transcript(page)))
        # The line may change while the call lasts.
        page.get_by_label("Line").select_option("clean")
        other.get_by_role("button", name="Take over").click()
        page.wait_for_timeout(2500)
        page.get_by_label("Type what the caller says").fill("two large pepperoni pizzas")
        page.keyboard.press("Enter")
        eventually("the caller's turn", lambda: other.locator(".note.tool", has_text="A person").count())
        other.get_by_label("Have the agent say").fill("A person speaks to you now.")
        other.keyboard.press("Enter")
        eventually("the person's answer", lambda: any("person speaks" in words for _, words in transcript(page)))
        assert not any("Got it" in words for _, words in transcript(page)), transcript(page)
        other.screenshot(path=SHOTS / "live-taken-over.png")
        other.get_by_role("button", name="Take over").click()
        page.get_by_role("button", name="Keypad").first.click()
        page.get_by_role("button", name="5", exact=True).click()
        page.screenshot(path=SHOTS / "talk-keypad.png")
        other.screenshot(path=SHOTS / "live-call.png")
        accessible(other, "one call")
        eventually("the key", lambda: page.locator(".note", has_text="keyed 1 digit").count())
        other.get_by_role("button", name="Hang up").click()
        page.get_by_role("button", name="Call again").wait_for(timeout=15_000)
        eventually("the end in the other page", lambda: other.locator(".note", has_text="The call is over").count())
        assert page.faults == [] and other.faults == [], (page.faults, other.faults)


def look_back(play):
    """A call that was kept: found by its words, seen, heard from a turn on, explained, asked what if, shared, compared, deleted."""
    with Server("--agent", "pizza") as server, browser(play) as chromium, tempfile.TemporaryDirectory() as folder:
        context = chromium.new_context(viewport={"width": 1360, "height": 860}, accept_downloads=True)
        page = open_page(context, server.page)
        for words in ("two large pepperoni pizzas", "what are your opening hours"):
            page.get_by_role("button", name="Call without a microphone").click()
            page.get_by_label("Type what the caller says").wait_for()
            eventually("the greeting", lambda: transcript(page))
            page.wait_for_timeout(4000)
            page.get_by_label("Type what the caller says").fill(words)
            page.keyboard.press("Enter")
            eventually("an answer", lambda: sum(who == "agent" for who, _ in transcript(page)) > 1)
            page.wait_for_timeout(700)
            page.get_by_role("button", name="Hang up").click()
            page.get_by_role("button", name="Call again").click()
        page.get_by_role("link", name="History").click()
        rows = page.locator(".calls tbody tr:not(.room)")
        eventually("both calls", lambda: rows.count() == 2)
        page.get_by_label("Words that were said").fill("opening hours")
        eventually("the one with these words", lambda: rows.count() == 1)
        page.get_by_label("Words that were said").fill("")
        eventually("both calls", lambda: rows.count() == 2)
        accessible(page, "the list")
        page.screenshot(path=SHOTS / "history-list.png")
        page.locator(".calls a").first.click()
        page.get_by_role("heading", name="What if").wait_for()
        assert any("eleven in the morning" in words for _, words in transcript(page)), transcript(page)
        page.locator(".chapter summary").last.click()
        assert page.locator(".moments li").count() > 5
        page.locator(".line.agent button.time").last.click()
        eventually("sound from there on", lambda: re.match(r"0:0[5-9]|0:1", page.locator(".controls .clock").inner_text()))
        page.get_by_label("Pause after a whole sentence").fill("900ms")
        page.get_by_role("button", name="Call again").click()
        page.locator(".ways").wait_for()
        assert page.locator(".ways thead th").all_inner_texts() == ["was", "this build", "changed"]
        page.screenshot(path=SHOTS / "history-call.png")
        accessible(page, "one kept call")
        with page.expect_download() as shared:
            page.get_by_role("button", name="Share").click()
        shared.value.save_as(f"{folder}/call.html")
        other = context.new_page()
        other.faults = []
        other.on("console", lambda message: other.faults.append(message.text))
        other.on("request", lambda request: request.url.startswith(("file:", "data:")) or other.faults.append(request.url))
        other.goto(f"file://{folder}/call.html")
        assert other.locator(".line").count() >= 3 and other.locator("script").count() == 0
        assert other.locator("audio").evaluate("audio => new Promise((done) => { audio.onloadedmetadata = () => done(audio.duration); audio.onerror = () => done(0); if (audio.duration) done(audio.duration); })") > 5
        assert other.faults == [], other.faults
        page.get_by_role("link", name="All calls").click()
        page.wait_for_timeout(700)
        eventually("both calls", lambda: rows.count() == 2)
        for box in page.locator(".calls tbody input").all():
            box.check()
        page.get_by_role("button", name="Compare the two").click()
        eventually("both side by side", lambda: page.locator(".kept.beside .line").count() >= 6)
        page.screenshot(path=SHOTS / "history-two.png")
        page.go_back()
        page.wait_for_timeout(700)
        page.locator(".calls a").first.click()
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Delete").click()
        eventually("one call less", lambda: rows.count() == 1)
        assert page.faults == [], page.faults


def failing(play):
    """A model that can't be reached: the call goes on, and the page says who failed and who took over."""
    with tempfile.TemporaryDirectory() as folder:
        agent = pathlib.Path(folder) / "agent.toml"
        agent.write_text(
            '[agent]\nname = "front-desk"\ninstructions = "x"\ngreeting = "Hello."\n[[stt]]\nprovider = "embedded"\n'
            '[[llm]]\nprovider = "openai"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n[[tts]]\nprovider = "embedded"\n'
        )
        with Server("--agent", str(agent), env={"OPENAI_API_KEY": "none"}) as server, browser(play) as chromium:
            page = open_page(chromium.new_context(viewport={"width": 1360, "height": 860}), server.page)
            page.get_by_role("button", name="Call without a microphone").click()
            page.get_by_label("Type what the caller says").wait_for()
            eventually("the greeting", lambda: transcript(page))
            page.wait_for_timeout(1500)
            page.get_by_label("Type what the caller says").fill("hello")
            page.keyboard.press("Enter")
            eventually("an apology, or last words", lambda: sum(who == "agent" for who, _ in transcript(page)) > 1)
            page.get_by_role("link", name="Agents").click()
            row = page.get_by_role("row", name="openai")
            eventually("the provider that failed", lambda: row.locator(".some").count() and page.get_by_role("row", name="last-words").get_by_text("1", exact=True).count())
            page.get_by_label("Check an agent's file").fill("[agent]\nname = 1\n")
            page.locator(".verdict .findings li").first.wait_for()
            page.get_by_label("Check an agent's file").fill('agent = "echo"\n')
            page.get_by_text("This file is right.").wait_for()
            page.screenshot(path=SHOTS / "agents-failing.png")
            accessible(page, "a failing provider")


def refused(play):
    """Foreign pages, foreign names, inline scripts, frames."""
    with Server() as server, browser(play) as chromium:

        class Foreign(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(f'<!doctype html><title>x</title><iframe src="{server.address}/console/"></iframe>'.encode())

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Foreign) as foreign:
            threading.Thread(target=foreign.serve_forever, daemon=True).start()
            page = chromium.new_context().new_page()
            page.goto(f"http://127.0.0.1:{foreign.server_port}/")
            outcome = page.evaluate(
                """async (server) => {
                    const tried = {};
                    const socket = new WebSocket(server.replace('http', 'ws') + '/media-stream');
                    tried.socket = await new Promise((done) => { socket.onopen = () => done('open'); socket.onerror = () => done('refused'); });
                    const ask = (path, init) => fetch(server + path, init).then((answer) => answer.type, () => 'refused');
                    tried.read = await ask('/calls');
                    tried.place = await ask('/calls/test', { method: 'POST', body: '{}' });
                    tried.blind = (await fetch(server + '/voice', { method: 'POST', mode: 'no-cors', body: 'CallSid=CA1' })).type;
                    await new Promise((done) => setTimeout(done, 500));
                    tried.frames = window.frames.length;
                    return tried;
                }""",
                server.address,
            )
            assert outcome["socket"] == outcome["read"] == outcome["place"] == "refused", outcome
            framed = [frame for frame in page.frames if "/console" in frame.url]
            assert not any(frame.query_selector("h1") for frame in framed), "the console lets itself be framed"
            foreign.shutdown()
        page = open_page(chromium.new_context(), server.page)
        violations = page.evaluate(
            """async () => {
                const seen = [];
                document.addEventListener('securitypolicyviolation', (event) => seen.push(event.effectiveDirective));
                const script = document.createElement('script');
                script.textContent = 'window.broken = 1';
                document.body.append(script);
                const image = new Image();
                image.src = 'http://127.0.0.1:9/x.png';
                document.body.append(image);
                const button = document.createElement('button');
                button.setAttribute('onclick', 'window.broken = 1');
                document.body.append(button);
                button.click();
                fetch('http://127.0.0.1:9/').catch(() => {});
                await new Promise((done) => setTimeout(done, 300));
                return [window.broken, ...seen];
            }"""
        )
        assert violations[0] is None and {"script-src-elem", "img-src", "script-src-attr", "connect-src"} <= set(violations), violations
        # Without the key, and with a wrong one.
        stranger = open_page_locked(chromium, f"{server.address}/console/")
        stranger.get_by_label("API token").fill("guess")
        stranger.get_by_role("button", name="Open").click()
        stranger.get_by_text("does not open the server").wait_for()
        accessible(stranger, "the lock")
    with Server(env={"TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef", "OFFHOOK_API_TOKEN": "a-token-that-nobody-guesses"}) as server, browser(play) as chromium:
        # Where signatures are checked, the page still calls: its webhook has the token, its socket a ticket.
        assert "key=" not in server.page
        page = open_page_locked(chromium, f"{server.address}/console/")
        page.get_by_label("API token").fill("a-token-that-nobody-guesses")
        page.get_by_role("button", name="Open").click()
        page.get_by_role("button", name="Call without a microphone").click()
        eventually("the greeting", lambda: transcript(page))


def open_page_locked(chromium, url):
    page = chromium.new_context().new_page()
    page.goto(url)
    page.get_by_label("API token").wait_for()
    return page


def quick_and_small(play):
    """First paint under 200 ms, under 300 kB in all, no errors; every view by keyboard, in both themes, on a phone."""
    with Server() as server, browser(play) as chromium:
        warm = open_page(chromium.new_context(), server.page)
        warm.close()
        paints = []
        for _ in range(3):
            page = open_page(chromium.new_context(), server.page)
            page.wait_for_timeout(300)
            paint, size = page.evaluate("() => [performance.getEntriesByName('first-contentful-paint')[0].startTime, performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation')).reduce((sum, entry) => sum + entry.encodedBodySize, 0)]")
            paints.append(paint)
            assert page.faults == [], page.faults
        print(f"  first paint {min(paints):.0f} ms, {size / 1000:.0f} kB")
        assert min(paints) < 200 and size < 300_000, (paints, size)
        for theme in ("light", "dark"):
            for device, viewport in (("desk", (1360, 860)), ("phone", (390, 844))):
                context = chromium.new_context(viewport={"width": viewport[0], "height": viewport[1]}, color_scheme=theme)
                page = open_page(context, server.page)
                for view in page.locator("#views a").all_inner_texts():
                    page.get_by_role("link", name=view.strip()).click()
                    page.wait_for_timeout(700)
                    page.screenshot(path=SHOTS / f"{view.strip().lower()}-{theme}-{device}.png")
                    wide = page.evaluate("() => document.documentElement.scrollWidth > innerWidth || document.querySelector('main').scrollWidth > document.querySelector('main').clientWidth + 1")
                    assert not wide, f"{view} scrolls sideways on a {device}"
                    accessible(page, f"{view}, {theme}, {device}")
        page = open_page(chromium.new_context(), server.page)
        seen = []
        for _ in range(14):
            page.keyboard.press("Tab")
            seen.append(page.evaluate("() => document.activeElement.getAttribute('aria-label') || document.activeElement.textContent || document.activeElement.id"))
        assert any("Call, with the microphone" in name for name in seen), seen


def main():
    SHOTS.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[3:]
    with sync_playwright() as play:
        for test in (quick_and_small, refused, typed_call, spoken_order, look_back, failing, many, delay, application, signed_in, bad_calls, history, looks, trouble):
            if wanted and test.__name__ not in wanted:
                continue
            began = time.monotonic()
            PAGES.clear()
            test(play)
            print(f"ok {test.__name__} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"screenshots: {SHOTS}")


main()
