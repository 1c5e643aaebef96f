"""Ten bad calls, each bad for a reason of its own: placed for real, by `offhook call`, with doubles that fail as they are told to. Then
History says of each why it was bad, at the top of the call."""

import concurrent.futures
import contextlib
import http.server
import pathlib
import re
import subprocess
import tempfile
import threading

from bench import CALLERS, KEYS, OFFHOOK, Doubles, Server, accessible, browser, eventually, open_page, shot

LONG = "One is the first number that there is. Two is what comes after it. Three is what comes after these two. Four follows three of them. Five is the last number of all."
ORDER = ["Two large pizzas, please.", "For delivery, please.", "Thank you, goodbye."]


def say(*names):
    return [part for name in names for part in ("--say", str(CALLERS / f"{name}.wav"))]


PIZZA = say("pizza-1", "pizza-2", "pizza-3")

# Name; what the doubles do; what is in the agent's file besides; how the caller calls; what must stand at the top, and further down.
CALLS = [
    ("slow-model", {"hears": ORDER, "profile": "slow"}, "", PIZZA, r"The agent was slow: .* up to \d\.\d s, because (the language model|the voice|speech-to-text)", []),
    ("model-down", {"hears": ORDER, "faults": '[[faults]]\nstage = "llm"\nfault = "refuse"\n'}, "", PIZZA, r"The language model openai failed", [r"last words"]),
    ("voice-down", {"hears": ORDER, "faults": '[[faults]]\nstage = "tts"\nfault = "unauthorized"\n'}, "", PIZZA, r"The voice elevenlabs failed.*flite", []),
    ("deaf", {"hears": []}, "", PIZZA, r"no word was understood", []),
    ("cut-off", {"hears": ["Two large pizzas.", "And water."], "answers": [("", "Anything else for you today?")]}, "", say("pause-800ms"), r"the caller was cut off", []),
    ("talks-on", {"hears": ORDER, "answers": [("", LONG)]}, "", [*PIZZA, "--barge-in", "1500ms"], r"interrupted the agent 3 times.*not heard: “", []),
    ("silent-caller", {"hears": []}, "", ["--hang-up-after", "60s"], r"No sound came from the caller", []),
    ("tool-down", {"hears": ORDER, "answers": "tool"}, "tool", PIZZA, r"The tool find_table failed", []),
    ("left-waiting", {"hears": ORDER, "faults": '[[faults]]\nstage = "llm"\nfault = "hang"\n'}, "", [*say("pizza-1"), "--longest", "6500ms"], r"The caller hung up .* waiting", []),
    ("worse-ears", {"hears": ORDER, "faults": '[[faults]]\nstage = "stt"\nfault = "server_error"\n'}, "", PIZZA, r"The speech-to-text deepgram failed.*pocketsphinx", []),
]


class Broken(http.server.BaseHTTPRequestHandler):
    """A tool's server that is out of order."""

    def do_POST(self):
        self.send_response(500)
        self.end_headers()
        self.wfile.write(b"the database is away")

    do_GET = do_POST

    def log_message(self, *_):
        pass


def agent(name, doubles, more, tool):
    tables = ""
    if more == "tool":
        tables = f'[[tool]]\nname = "find_table"\ndescription = "Finds a table."\nurl = "http://127.0.0.1:{tool}/tables"\nmethod = "POST"\n[tool.parameters]\ntype = "object"\n'
    return f'[agent]\nname = "{name}"\ninstructions = "Take orders."\ngreeting = "Good day. What may I bring you?"\n{doubles.stt}{doubles.llm}{doubles.tts}{tables}'


@contextlib.contextmanager
def prepared():
    """A server that has kept the ten calls, and its page."""
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tool = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken))
        threading.Thread(target=tool.serve_forever, daemon=True).start()
        stack.callback(tool.shutdown)
        routes = ""
        for number, (name, doubles, more, *_) in enumerate(CALLS):
            if doubles.get("answers") == "tool":
                doubles = doubles | {"answers": TOOL}
            doubles = stack.enter_context(Doubles(**doubles))
            (folder / f"{name}.toml").write_text(agent(name, doubles, more, tool.server_port))
            routes += f'[[route]]\nto = ["+1415555020{number}"]\nagent = "{folder}/{name}.toml"\n'
        (folder / "offhook.toml").write_text(f'agent = "echo"\n{routes}')
        server = stack.enter_context(Server("--config", folder / "offhook.toml", env=KEYS))

        def place(number):
            command = [OFFHOOK, "call", f"{server.address}/voice", "--to", f"+1415555020{number}", *CALLS[number][3]]
            subprocess.run(command, capture_output=True, timeout=120, check=False)

        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            list(pool.map(place, range(len(CALLS))))
        yield server


TOOL = [("pizzas", "", "find_table"), ("", "I am afraid I can't look that up.", None)]


def bad_calls(play):
    with prepared() as server, browser(play) as chromium:
        page = open_page(chromium.new_context(viewport={"width": 1360, "height": 860}), server.page)
        page.get_by_role("link", name="History").click()
        rows = page.locator(".calls tbody tr:not(.room)")
        eventually("all of them", lambda: (page.get_by_label("Number").fill(""), page.wait_for_timeout(500), rows.count() == len(CALLS))[2])
        shot(page, "bad-calls")
        wrong = []
        for name, _, _, _, top, further in CALLS:
            page.get_by_role("row", name=name).get_by_role("link").click()
            page.get_by_role("heading", name="Facts").wait_for()
            shot(page, f"bad-{name}")
            found = page.locator(".kept .verdicts .reason").all_inner_texts()
            print(f"  {name}: {' | '.join(found)}")
            if not found or not re.search(top, found[0]) or not all(any(re.search(more, text) for text in found) for more in further):
                wrong.append((name, top, found))
            accessible(page, name)
            page.go_back()
            rows.first.wait_for()
        assert not wrong, wrong
        assert page.faults == [], page.faults
