#!/usr/bin/env python3
"""The booking agent's tools as an MCP server, in Python's standard library alone. Its tools are `find_table` and `book_table`.

  python3 server.py 8084

It speaks the protocol with a handshake, over streamable HTTP, and answers with plain JSON. With the official SDK (`pip install mcp`) the
same is a dozen lines; this shows that there is no magic in it.
"""
import http.server, json, sys, uuid

BOOKED = {}
PARAMETERS = {
    "type": "object",
    "required": ["day", "people"],
    "properties": {"day": {"type": "string"}, "people": {"type": "integer", "minimum": 1},
                   "caller": {"type": "string", "description": "the caller's number"}},
}
TOOLS = [
    {"name": "find_table", "description": "Whether there is a table for a day and a number of people.",
     "inputSchema": PARAMETERS, "annotations": {"readOnlyHint": True}},
    {"name": "book_table", "description": "Books a table. Only after the caller has said yes to day and number of people.",
     "inputSchema": PARAMETERS, "annotations": {"destructiveHint": False}},
    {"name": "forget_everything", "description": "Deletes all bookings.", "inputSchema": {"type": "object"},
     "annotations": {"destructiveHint": True}},
]


def use(name, arguments):
    if name == "find_table":
        return {"free": arguments["people"] <= 12}
    if name == "book_table":
        number = str(len(BOOKED) + 1)
        BOOKED[number] = arguments
        print("booked", json.dumps(arguments), flush=True)
        return {"booked": True, "number": number}
    raise KeyError(name)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method, params, session = message["method"], message.get("params", {}), self.headers.get("Mcp-Session-Id")
        if "id" not in message:
            return self.reply(202, None)
        if method == "initialize":
            return self.reply(200, self.result(message, {
                "protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "booking", "version": "1"}}), session=uuid.uuid4().hex)
        if not session:
            return self.reply(400, {"jsonrpc": "2.0", "id": message["id"],
                                    "error": {"code": -32600, "message": "a session begins with `initialize`"}})
        if method == "tools/list":
            return self.reply(200, self.result(message, {"tools": TOOLS}))
        try:
            found = use(params["name"], params.get("arguments", {}))
            content = [{"type": "text", "text": json.dumps(found)}]
            self.reply(200, self.result(message, {"content": content, "structuredContent": found}))
        except KeyError as missing:
            content = [{"type": "text", "text": f"there is no {missing}"}]
            self.reply(200, self.result(message, {"isError": True, "content": content}))

    @staticmethod
    def result(message, result):
        return {"jsonrpc": "2.0", "id": message["id"], "result": result}

    def reply(self, status, body, session=None):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if session:
            self.send_header("Mcp-Session-Id", session)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8084), Handler)
    print(f"listening on http://127.0.0.1:{server.server_address[1]}/mcp", flush=True)
    server.serve_forever()
