"""Signatures by twilio-python and twilio-node, and which of them each accepts: a URL is signed as `signed`, and arrives as `seen`."""
import hashlib
import json
import subprocess

from twilio.request_validator import RequestValidator


class Multi(dict):
    def __init__(self, pairs):
        super().__init__()
        for name, value in pairs:
            self.setdefault(name, []).append(value)

    def getlist(self, name):
        return self[name]


F=[["CallSid","CA1"],["From","+14155550100"],["CallerState",""]]
cases = []
def c(name, signed, seen=None, params=F, body=None, token="12345"):
    cases.append(dict(name=name, token=token, signed=signed, seen=seen or signed, params=params, body=body))
B="https://example.com"
c("form, https", B+"/voice")
c("form, a query too", B+"/voice?a=1&b=2")
c("GET with a query", B+"/voice?CallSid=CA1&From=%2B14155550100&CallerState=", params=[])
c("repeated names", B+"/v", params=[["X","b"],["X","a"],["X","b"],["A","1"]])
c("names in order of bytes", B+"/v", params=[["b","1"],["B","2"],["a","3"],["_","4"],["A","5"]])
c("a name that begins another", B+"/v", params=[["SidAccount","2"],["Sid","1"]])
c("unicode", B+"/v", params=[["Body","h\u00e9llo \U0001f600 & w\u00f6rld"],["N\u00e4me","\u4e2d"]])
c("white space is kept", B+"/v", params=[["Body","  a\n b\t "]])
c("only empty values", B+"/v", params=[["A",""],["B",""]])
c("http with a port", "http://example.com:5000/v")
c("port lost on the way", B+":8443/v", B+"/v")
c("port came on the way", B+"/v", B+":8443/v")
c("default port lost", B+":443/v", B+"/v")
c("default port came", B+"/v", B+":443/v")
c("http default port lost", "http://example.com:80/v", "http://example.com/v")
c("other host", B+"/v", "https://example.org/v")
c("other scheme", "http://example.com/v", B+"/v")
c("slash lost", B+"/v/", B+"/v")
c("slash came", B+"/v", B+"/v/")
c("trailing slash", B+"/v/")
c("no path", B, B)
c("no path, slash came", B, B+"/")
c("no path, slash lost", B+"/", B)
c("no path but a query", B+"?a=1")
c("no path but a query, slash lost", B+"/?a=1", B+"?a=1")
c("user and password", "https://user:pass@example.com/v")
c("user and password, port lost", "https://user:pass@example.com:443/v", "https://user:pass@example.com/v")
c("user and password dropped by Twilio", B+"/v", "https://user:pass@example.com/v")
c("IPv6 with a port", "http://[::1]:5000/v")
c("IPv6, port lost", "http://[::1]:80/v", "http://[::1]/v")
c("upper-case host", "https://Example.COM/v")
c("host's case changed", "https://example.com/v", "https://Example.COM/v")
c("apostrophe", B+"/v?b=It's+here")
c("apostrophe escaped by the signer", B+"/v?b=It%27s+here", B+"/v?b=It's+here")
c("apostrophe unescaped by the signer", B+"/v?b=It's", B+"/v?b=It%27s")
c("plus became %20", B+"/v?b=a%20b", B+"/v?b=a+b")
c("%20 became plus", B+"/v?b=a+b", B+"/v?b=a%20b")
c("lower-case escapes", B+"/v?b=%c3%a9")
c("escapes' case changed", B+"/v?b=%C3%A9", B+"/v?b=%c3%a9")
c("raw unicode in the query", B+"/v?b=\u00e9")
c("raw unicode escaped by the signer", B+"/v?b=%C3%A9", B+"/v?b=\u00e9")
c("pipe in the query", B+"/v?b=a|b")
c("pipe escaped by the signer", B+"/v?b=a%7Cb", B+"/v?b=a|b")
c("brackets and commas", B+"/v?a[0]=1,2")
c("brackets escaped by the signer", B+"/v?a%5B0%5D=1%2C2", B+"/v?a[0]=1,2")
c("blank in the query escaped by the signer", B+"/v?b=a%20b", B+"/v?b=a b")
c("empty query", B+"/v?")
c("empty query lost", B+"/v?", B+"/v")
c("a key without a value", B+"/v?flag")
c("a key without a value, = by the signer", B+"/v?flag=", B+"/v?flag")
c("double slash", B+"//v")
c("dots in the path", B+"/a/../v")
c("dots resolved", B+"/v", B+"/a/../v")
c("quote in the path", B+"/it's")
c("@ in the path", B+"/a@b:80/c")
c("colon in the query", B+"/v?u=http://x:80/")
c("fragment", B+"/v#rc=2")
c("fragment not signed", B+"/v", B+"/v#rc=2")
c("wss", "wss://example.com/media", params=[])
c("wss, port lost", "wss://example.com:443/media", "wss://example.com/media", params=[])
c("wss, port 80", "wss://example.com:80/media", "wss://example.com/media", params=[])
c("wss, with a port", "wss://example.com:8443/media", params=[])
c("wss, slash lost", "wss://example.com/media/", "wss://example.com/media", params=[])
c("wss signed as https", "https://example.com/media", "wss://example.com/media", params=[])
c("wss with a query", "wss://example.com/ws?token=abc", params=[])
def js(name, body, hashed=None, extra="", upper=False, seen=None):
    h=hashlib.sha256((hashed if hashed is not None else body).encode()).hexdigest()
    if upper: h=h.upper()
    u=f"{B}/v?{extra}bodySHA256={h}"
    cases.append(dict(name=name, token="12345", signed=u, seen=u, params=[], body=body))
js("JSON", '{"a": "\u00e9"}')
js("JSON with a query", '{"a":1}', extra="x=1&")
js("JSON, another body", '{"a":1}', hashed='{"a":2}')
js("JSON, empty body", '', hashed='')
js("JSON, empty body as {}", '', hashed='{}')
js("JSON, {}", '{}')
js("JSON, upper-case hash", '{"a":1}', upper=True)

NODE = """
const { validateRequest, validateRequestWithBody, getExpectedTwilioSignature } = require('twilio');
const out = JSON.parse(require('fs').readFileSync(0)).map((c) => {
  const params = {};
  for (const [name, value] of c.params) params[name] = name in params ? [].concat(params[name], value) : value;
  const signature = getExpectedTwilioSignature(c.token, c.signed, params);
  const valid = c.body !== null ? validateRequestWithBody(c.token, signature, c.seen, c.body)
    : validateRequest(c.token, signature, c.seen, params);
  return [signature, valid];
});
console.log(JSON.stringify(out));
"""


def make(node_folder):
    done = subprocess.run(["node", "-e", NODE], input=json.dumps(cases), text=True, capture_output=True, check=True,
                          cwd=node_folder)
    for case, (signature, valid) in zip(cases, json.loads(done.stdout)):
        validator, params = RequestValidator(case.pop("token")), Multi(case["params"])
        case["signature"] = validator.compute_signature(case["signed"], params)
        assert case["signature"] == signature, case["name"]
        body = case["body"] if case["body"] is not None else params
        case["python"] = validator.validate(case["seen"], body, signature)
        case["node"] = valid
    return cases
