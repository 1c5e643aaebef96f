"""Agents whose words come from applications that speak ConversationRelay, and people whom a proxy has signed in."""

import pathlib
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

from bench import HERE, KEYS, Doubles, Server, accessible, browser, eventually, open_page, shot, transcript

EXAMPLE = HERE / "../../../examples/python-relay"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def say(page, words):
    page.get_by_label("Type what the caller says").fill(words)
    page.keyboard.press("Enter")


def agent_said(page, words):
    eventually(f"the agent's “{words}”", lambda: any(who == "agent" and words in said for who, said in transcript(page)))


def application(play):
    """The example in Python answers as an application that speaks ConversationRelay: spoken with, keyed to, watched, kept; then it is
    gone, and the page says so."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        agent = pathlib.Path(folder) / "agent.toml"
        doubles = Doubles(hears=["On Friday, please."])
        text = (EXAMPLE / "agent.toml").read_text().replace(":8081", f":{port}")
        agent.write_text(text.replace('[[stt]]\nprovider = "embedded"\n', doubles.stt))
        app = subprocess.Popen([sys.executable, EXAMPLE / "server.py", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            with doubles, Server("--agent", agent, env=KEYS) as server, browser(play) as chromium:
                page = open_page(chromium.new_context(viewport={"width": 1360, "height": 860}), server.page)
                page.get_by_role("link", name="Agents").click()
                page.get_by_role("row", name="conversation-relay").wait_for()
                page.get_by_role("link", name="Talk to it").click()
                page.get_by_role("button", name="Call without a microphone").click()
                page.get_by_label("Type what the caller says").wait_for()
                agent_said(page, "Blue Door restaurant")
                page.wait_for_timeout(5500)
                say(page, "on friday please")
                agent_said(page, "For how many people")
                page.wait_for_timeout(3500)
                shot(page, "talk-application")
                # The key goes to the application as Twilio sends it.
                page.get_by_role("button", name="Keypad").first.click()
                page.get_by_role("button", name="4", exact=True).click()
                agent_said(page, "A table for")
                # The application ends the call.
                page.get_by_text("The agent hung up.", exact=True).wait_for(timeout=20_000)
                page.get_by_role("link", name="History").click()
                page.locator(".calls a").first.click()
                page.get_by_role("heading", name="Facts").wait_for()
                assert any("It is booked" in words for _, words in transcript(page)), transcript(page)
                app.kill()
                app.wait()
                page.get_by_role("link", name="Talk", exact=True).click()
                page.get_by_role("button", name="Call again").click()
                page.get_by_role("button", name="Call without a microphone").click()
                page.get_by_label("Type what the caller says").wait_for()
                page.wait_for_timeout(3500)
                say(page, "on friday please")
                page.get_by_text("The agent hung up.", exact=True).wait_for(timeout=40_000)
                page.locator(".reason", has_text="The application conversation-relay failed").wait_for()
                shot(page, "talk-application-gone")
                assert page.faults == [], page.faults
        finally:
            app.kill()
            app.wait()


class Proxy:
    """A proxy that has signed this person in: it puts the name into every request, and passes everything on."""

    def __init__(self, server, person):
        host, port = server.address.removeprefix("http://").split(":")

        class Pass(socketserver.BaseRequestHandler):
            def handle(self):
                head = b""
                while b"\r\n\r\n" not in head:
                    if not (read := self.request.recv(65536)):
                        return
                    head += read
                head, rest = head.split(b"\r\n\r\n", 1)
                lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"x-auth-request-email:", b"connection: keep-alive"))]
                upgrades = any(line.lower().startswith(b"upgrade:") for line in lines)
                lines += [f"X-Auth-Request-Email: {person}".encode()] + ([] if upgrades else [b"Connection: close"])
                with socket.create_connection((host, int(port))) as far:
                    far.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + rest)
                    back = threading.Thread(target=self.copy, args=(far, self.request), daemon=True)
                    back.start()
                    self.copy(self.request, far)
                    back.join(30)

            def copy(self, source, sink):
                try:
                    while read := source.recv(65536):
                        sink.sendall(read)
                    sink.shutdown(socket.SHUT_WR)
                except OSError:
                    pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Pass)
        self.page = f"http://127.0.0.1:{self.server.server_address[1]}/console/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()


def signed_in(play):
    """Two tenants' people and the operator by a proxy's word, without a token: each sees their own calls in each view, live and kept."""
    text = (
        'agent = "echo"\n[sign_in]\nproxies = ["127.0.0.1"]\noperators = ["ann@example.com"]\n'
        '[[tenant]]\nname = "blue"\nagents = ["pizza"]\nusers = ["*@blue.example"]\n'
        '[[tenant]]\nname = "red"\nagents = ["booking"]\nusers = ["*@red.example"]\n'
    )
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "offhook.toml"
        config.write_text(text)
        with Server("--config", config, env={"TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef"}) as server, browser(play) as chromium:
            people = {"bob@blue.example": "pizza", "eve@red.example": "booking", "ann@example.com": "echo"}
            pages, proxies = {}, []
            for person, agent in people.items():
                proxies.append(Proxy(server, person))
                page = pages[person] = open_page(chromium.new_context(viewport={"width": 1360, "height": 860}), proxies[-1].page)
                page.locator("#aside", has_text=person).wait_for()
                assert agent in page.locator("#agent").inner_text().split(), person
                page.get_by_role("button", name="Call without a microphone").click()
                page.get_by_label("Type what the caller says").wait_for()
                page.wait_for_timeout(1500)
            bob, eve, ann = pages.values()
            # Live: each their own, the operator all.
            for page, count in ((bob, 1), (eve, 1), (ann, 3)):
                page.get_by_role("link", name="Live").click()
                eventually("their calls", lambda: page.locator(".rows a").count() == count)
            # Another's address, followed or typed, shows nothing.
            bob.locator(".rows a").click()
            eventually("bob's call", lambda: transcript(bob))
            address = bob.evaluate("location.hash")
            sid = address.rsplit("/", 1)[1]
            for where in (address, f"#/history/{sid}"):
                eve.evaluate("where => { location.hash = where; }", where)
                eve.locator(".toast.bad", has_text="no such call").first.wait_for()
                assert not transcript(eve), transcript(eve)
                eve.evaluate("document.querySelectorAll('.toast').forEach((toast) => toast.remove())")
            eve.faults.clear()
            ann.evaluate("where => { location.hash = where; }", address)
            eventually("bob's call", lambda: transcript(ann))
            # What only the operator may is not offered to others.
            eve.get_by_role("link", name="Agents").click()
            eve.get_by_role("heading", name="booking").wait_for()
            assert eve.get_by_role("heading", name="pizza").count() == 0 and eve.get_by_label("Check an agent's file").count() == 0
            shot(eve, "agents-tenant")
            accessible(eve, "a tenant's agents")
            for page in (bob, eve, ann):
                page.get_by_role("link", name="Talk", exact=True).click()
                page.get_by_role("button", name="Hang up").click()
                page.get_by_role("button", name="Call again").wait_for()
            for page, count in ((bob, 1), (eve, 1), (ann, 3)):
                page.get_by_role("link", name="History").click()
                eventually("their kept calls", lambda: (page.get_by_label("Number").fill(""), page.wait_for_timeout(500), page.locator(".calls tbody tr:not(.room)").count() == count)[2])
                assert page.faults == [], page.faults
            # Somebody who is signed in, but listed nowhere; and somebody whom nothing has signed in.
            with Proxy(server, "carl@example.com") as proxy:
                page = chromium.new_context().new_page()
                page.goto(proxy.page)
                page.get_by_text("carl@example.com: you are signed in, but not listed").wait_for()
            page = chromium.new_context().new_page()
            page.goto(f"{server.address}/console/")
            page.get_by_label("API token").wait_for()
            for proxy in proxies:
                proxy.server.shutdown()
