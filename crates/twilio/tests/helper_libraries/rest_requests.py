"""What twilio-python and twilio-node send to Twilio's REST API, told by a server that stands in for it."""
import http.server
import json
import subprocess
import threading

from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

API = "https://api.twilio.com"
ACCOUNT, CALL = "AC" + "0" * 31 + "1", "CA" + "0" * 31 + "1"
RESOURCE = {"sid": CALL, "status": "queued", "date_created": "Sat, 21 Nov 2026 10:00:00 +0000"}


class Server(http.server.ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        told = {key: self.headers.get(key) for key in ("authorization", "accept")}
        self.server.seen.append({"method": self.command, "target": self.path, **told, "body": body})
        lists = {"/Calls.json": {"calls": [RESOURCE]}, "/Notifications.json": {"notifications": []}}
        page = [page for end, page in lists.items() if self.path.split("?")[0].endswith(end)]
        answer = {**page[0], "page": 0, "next_page_uri": None} if self.command == "GET" and page else RESOURCE
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


NODE = """
const twilio = require('twilio');
const [base, account, sid] = process.argv.slice(1);
class Here extends twilio.RequestClient {
  request(options) { options.uri = options.uri.replace('https://api.twilio.com', base); return super.request(options); }
}
(async () => {
  const client = twilio(account, '12345', { httpClient: new Here() });
  await client.calls.create({ to: '+14155550100', from: '+14155550101', url: 'https://voice.example.com/voice?ref=1',
    method: 'POST', statusCallback: 'https://voice.example.com/status?ref=1', statusCallbackMethod: 'POST',
    statusCallbackEvent: ['initiated', 'ringing', 'answered', 'completed'], timeout: 25, timeLimit: 600,
    machineDetection: 'Enable', asyncAmd: 'true', asyncAmdStatusCallback: 'https://voice.example.com/amd?ref=1',
    asyncAmdStatusCallbackMethod: 'POST' });
  await client.calls(sid).update({ status: 'completed' });
  await client.calls(sid).update({ twiml: '<Response><Say>Tom &amp; ü</Say></Response>' });
  await client.calls(sid).fetch();
  await client.calls.list({ to: '+14155550100', from: '+14155550101', pageSize: 20, limit: 20 });
  await client.calls(sid).notifications.list({ pageSize: 1000 });
})();
"""


def by_python(base):
    class Here(TwilioHttpClient):
        def request(self, method, url, *args, **more):
            return super().request(method, url.replace(API, base), *args, **more)

    client = Client(ACCOUNT, "12345", http_client=Here())
    client.calls.create(
        to="+14155550100", from_="+14155550101", url="https://voice.example.com/voice?ref=1", method="POST",
        status_callback="https://voice.example.com/status?ref=1", status_callback_method="POST",
        status_callback_event=["initiated", "ringing", "answered", "completed"], timeout=25, time_limit=600,
        machine_detection="Enable", async_amd="true", async_amd_status_callback="https://voice.example.com/amd?ref=1",
        async_amd_status_callback_method="POST")
    client.calls(CALL).update(status="completed")
    client.calls(CALL).update(twiml="<Response><Say>Tom &amp; ü</Say></Response>")
    client.calls(CALL).fetch()
    client.calls.list(to="+14155550100", from_="+14155550101", page_size=20, limit=20)
    client.calls(CALL).notifications.list(page_size=1000)


def make(node_folder):
    server = Server()
    base = f"http://127.0.0.1:{server.server_port}"
    by_python(base)
    python, server.seen = server.seen, []
    subprocess.run(["node", "-e", NODE, base, ACCOUNT, CALL], check=True, cwd=node_folder)
    node = server.seen
    return [{"python": one, "node": other} for one, other in zip(python, node, strict=True)]
