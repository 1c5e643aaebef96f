#!/usr/bin/env python3
"""A booking agent as an OpenAI-compatible server, in Python's standard library alone.

  python3 server.py 8083

It answers `POST /v1/chat/completions` with a stream. It keeps nothing: all that it knows is in the messages of each request. Which call
it is stands in `metadata`, and in `X-Offhook-Context`, signed if OFFHOOK_SIGNING_SECRET is set on both sides.
"""
import hashlib, hmac, http.server, json, os, re, sys, time

SECRET = os.environ.get("OFFHOOK_SIGNING_SECRET", "")
NUMBERS = dict(one=1, two=2, three=3, four=4, five=5, six=6, seven=7, eight=8)
DAYS = "monday tuesday wednesday thursday friday saturday sunday today tomorrow tonight".split()


def answer(messages):
    """What is said, and whether the call ends with it."""
    said = " ".join(text(m) for m in messages if m["role"] == "user").lower()
    words = re.findall(r"[a-z]+|\d+", said)
    day = next((w for w in reversed(words) if w in DAYS), None)
    people = next((NUMBERS.get(w) or int(w) for w in reversed(words) if w in NUMBERS or w.isdigit()), None)
    if not any(m["role"] == "assistant" for m in messages) and not day and not people:
        return "Blue Door restaurant, good day. For which day, and for how many people?", False
    if not day:
        return "For which day, please?", False
    if not people:
        return "For how many people?", False
    return f"A table for {people}, {day}. It is booked. Goodbye!", True


def text(message):
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if SECRET and not self.is_signed(body):
            return self.reply(401, "application/json", b'{"error":{"message":"the signature is wrong"}}')
        request = json.loads(body)
        print("call", request.get("metadata", {}).get("call"), "from", request.get("metadata", {}).get("from"), flush=True)
        said, over = answer(request["messages"])
        chunks = [{"delta": {"role": "assistant", "content": piece}} for piece in re.findall(r"\S+\s*", said)]
        offered = [tool["function"]["name"] for tool in request.get("tools", [])]
        if over and "end_call" in offered:
            call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "end_call", "arguments": "{}"}}
            chunks.append({"delta": {"tool_calls": [call]}})
        chunks.append({"delta": {}, "finish_reason": "tool_calls" if over else "stop"})
        events = [json.dumps({"object": "chat.completion.chunk", "choices": [{"index": 0, **c}]}) for c in chunks]
        self.reply(200, "text/event-stream", "".join(f"data: {e}\n\n" for e in events + ["[DONE]"]).encode())

    def is_signed(self, body):
        try:
            parts = dict(part.split("=", 1) for part in self.headers["X-Offhook-Signature"].split(","))
            signed = f'{parts["t"]}\nPOST\n{self.path}\n{self.headers["X-Offhook-Context"]}\n'.encode() + body
            right = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
            return hmac.compare_digest(right, parts["v1"]) and abs(time.time() - int(parts["t"])) < 300
        except (AttributeError, KeyError, ValueError):
            return False

    def reply(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8083), Handler)
    print(f"listening on http://127.0.0.1:{server.server_address[1]}/v1", flush=True)
    server.serve_forever()
