#!/usr/bin/env python3
"""A booking agent as a ConversationRelay server, in Python's standard library alone.

  python3 server.py 8081

It takes a day and a number of people, books a table, and says goodbye. The WebSocket part below is what a library such as
`websockets` does for you; everything that is yours is in `Agent`.
"""
import base64, hashlib, json, re, socketserver, struct, sys

NUMBERS = dict(one=1, two=2, three=3, four=4, five=5, six=6, seven=7, eight=8)
DAYS = "monday tuesday wednesday thursday friday saturday sunday today tomorrow tonight".split()


class Agent:
    """One call: messages in, messages out."""

    def __init__(self, send):
        self.send, self.day, self.people, self.caller = send, None, None, ""

    def say(self, text, last=True):
        self.send(type="text", token=text, last=last)

    def on_setup(self, message):
        self.caller = message["from"]
        self.say("Blue Door restaurant, good day. For which day, and for how many people?")

    def on_prompt(self, message):
        if not message.get("last", True):
            return
        words = re.findall(r"[a-z]+|\d+", message["voicePrompt"].lower())
        self.take(next((w for w in words if w in DAYS), None),
                  next((NUMBERS.get(w) or int(w) for w in words if w in NUMBERS or w.isdigit()), None))

    def on_dtmf(self, message):
        if message["digit"].isdigit():
            self.take(None, int(message["digit"]))

    def take(self, day, people):
        self.day, self.people = day or self.day, people or self.people
        if not self.day:
            return self.say("For which day, please?")
        if not self.people:
            return self.say("For how many people? You can also press a key.")
        self.say(f"A table for {self.people}, {self.day}. ", last=False)
        self.say("It is booked. Goodbye!")
        self.send(type="end", handoffData=json.dumps({"day": self.day, "people": self.people}))

    def on_interrupt(self, message):
        print("interrupted after:", message["utteranceUntilInterrupt"], flush=True)


class Handler(socketserver.StreamRequestHandler):
    """RFC 6455, as far as a ConversationRelay server needs it."""

    def handle(self):
        headers = {}
        self.rfile.readline()
        while (line := self.rfile.readline().decode().strip()):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        key = headers.get("sec-websocket-key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.wfile.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          f"Sec-WebSocket-Accept: {accept}\r\n\r\n").encode())
        agent = Agent(lambda **message: self.frame(1, json.dumps(message).encode()))
        while (frame := self.read()) is not None:
            opcode, data = frame
            if opcode == 8:
                return self.frame(8, data[:2])
            if opcode == 9:
                self.frame(10, data)
            if opcode == 1:
                message = json.loads(data)
                print(message["type"], flush=True)
                getattr(agent, "on_" + message["type"], lambda message: None)(message)

    def read(self):
        head = self.rfile.read(2)
        if len(head) < 2:
            return None
        opcode, length = head[0] & 15, head[1] & 127
        if length == 126:
            length, = struct.unpack("!H", self.rfile.read(2))
        elif length == 127:
            length, = struct.unpack("!Q", self.rfile.read(8))
        mask, data = self.rfile.read(4), self.rfile.read(length)
        return opcode, bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))

    def frame(self, opcode, data):
        size = len(data)
        head = struct.pack("!BB", 128 | opcode, size) if size < 126 else struct.pack("!BBH", 128 | opcode, 126, size)
        self.wfile.write(head + data)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True


if __name__ == "__main__":
    with Server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8081), Handler) as server:
        print(f"listening on ws://127.0.0.1:{server.server_address[1]}/relay", flush=True)
        server.serve_forever()
