"""The same documents by twilio-python and twilio-node: `documents(twilio)` runs in both, because their methods agree."""
import json
import subprocess

from twilio.twiml.voice_response import VoiceResponse

RELAY = [
    ("url", "wss://h.example/relay"), ("welcomeGreeting", "Hello & welcome"), ("welcomeGreetingInterruptible", "speech"),
    ("language", "en-US"), ("ttsLanguage", "en-GB"), ("transcriptionLanguage", "multi"), ("ttsProvider", "ElevenLabs"),
    ("voice", "UgBBYS2sOqTuMpoF3BR0"), ("transcriptionProvider", "Deepgram"), ("speechModel", "nova-3-general"),
    ("deepgramSmartFormat", "true"), ("interruptible", "any"), ("interruptSensitivity", "high"), ("dtmfDetection", "true"),
    ("reportInputDuringAgentSpeech", "none"), ("preemptible", "false"), ("hints", "Offhook,μ-law"), ("debug", "debugging"),
    ("events", "speaker-events tokens-played"), ("elevenlabsTextNormalization", "off"), ("intelligenceService", "GA1"),
    ("partialPrompts", "true"), ("speechTimeout", "900"), ("ignoreBackchannel", "true"),
    ("backgroundNoiseReduction", "on"), ("profanityFilter", "false"),
]

# Each a list of steps: [method, attributes, text, children].
DOCUMENTS = {
    "stream": [["connect", {"action": "https://h.example/next?a=1&b=2"}, None, [
        ["stream", {"url": "wss://h.example/media", "statusCallback": "https://h.example/s"}, None, [
            ["parameter", {"name": "caller", "value": "Tom & \"Jerry\" <x@y> 'z' ü\t\n"}, None, []],
            ["parameter", {"name": "empty", "value": ""}, None, []]]]]], ["hangup", {}, None, []]],
    "relay": [["connect", {"action": "https://h.example/next"}, None, [
        ["conversationRelay", dict(RELAY), None, [
            ["language", {"code": "sv-SE", "ttsProvider": "Amazon", "voice": "Elin-Neural",
                          "transcriptionProvider": "Google", "speechModel": "long"}, None, []],
            ["parameter", {"name": "token", "value": "\"x\""}, None, []]]]]]],
    "apology": [["say", {}, "We are sorry & <so> “on”", []], ["pause", {"length": "2"}, None, []], ["hangup", {}, None, []]],
    "elsewhere": [["redirect", {}, "https://h.example/next?a=1&b=2", []]],
    "busy": [["reject", {"reason": "busy"}, None, []]],
    "transfer": [["dial", {"timeout": "30", "callerId": "+14155550101", "action": "https://h.example/after?a=1&b=2"}, None, [
        ["number", {}, "+14155550199", []]]]],
    "menu": [["gather", {"input": "dtmf speech", "numDigits": "1", "action": "/menu", "timeout": "5",
                         "actionOnEmptyResult": "true"}, None, [
        ["say", {"voice": "Polly.Joanna", "language": "en-US", "loop": "1"}, "Press one.", []],
        ["play", {"loop": "2"}, "https://h.example/a.mp3", []], ["pause", {"length": "1"}, None, []]]],
        ["play", {"digits": "ww1"}, None, []],
        ["record", {"action": "/recorded", "maxLength": "30", "playBeep": "true", "finishOnKey": "#"}, None, []],
        ["redirect", {"method": "GET"}, "/again", []]],
    "tap": [["start", {}, None, [["stream", {"url": "wss://h.example/tap", "track": "both_tracks", "name": "tap"}, None, []]]],
            ["dial", {"record": "record-from-answer", "answerOnBridge": "true"}, None, [
                ["number", {"statusCallback": "/s", "statusCallbackEvent": "answered completed"}, "+14155550100", []],
                ["client", {}, "alice", []], ["sip", {}, "sip:a@h.example", []]]],
            ["stop", {}, None, [["stream", {"name": "tap"}, None, []]]]],
    "others": [["enqueue", {"waitUrl": "/wait"}, "support", []], ["leave", {}, None, []], ["echo", {}, None, []],
               ["refer", {"action": "/r"}, None, [["sip", {}, "sip:a@h.example", []]]],
               ["pay", {"paymentConnector": "x", "chargeAmount": "1.00"}, None, [
                   ["prompt", {"for": "payment-card-number"}, None, [["say", {}, "Card?", []]]]]]],
}

NODE = """
const { twiml } = require('twilio');
const documents = JSON.parse(require('fs').readFileSync(0));
const walk = (parent, steps) => {
  for (const [method, attributes, text, children] of steps) {
    const refer = parent.response && method === 'sip' && parent.referSip;
    const own = refer ? 'referSip' : method;
    let made;
    if (method === 'enqueue' || method === 'dial') made = parent[own](attributes, text || undefined);
    else if (text !== null && ['say','play','redirect','number','client','sip'].includes(method)) made = parent[own](attributes, text);
    else made = parent[own](attributes);
    walk(made, children);
  }
};
const out = {};
for (const [name, steps] of Object.entries(documents)) {
  const response = new twiml.VoiceResponse();
  walk(response, steps);
  out[name] = response.toString();
}
console.log(JSON.stringify(out));
"""

SNAKE = {"conversationRelay": "conversation_relay"}


def walk(parent, steps):
    for method, attributes, text, children in steps:
        name = SNAKE.get(method, method)
        if name == "sip" and not hasattr(parent, "sip"):
            name = "refer_sip"
        attributes = {key + "_" if key in ("for", "from") else key: value for key, value in attributes.items()}
        call = getattr(parent, name)
        made = call(text, **attributes) if text is not None else call(**attributes)
        walk(made, children)


def make(node_folder):
    done = subprocess.run(["node", "-e", NODE], input=json.dumps(DOCUMENTS), text=True, capture_output=True, check=True,
                          cwd=node_folder)
    by_node = json.loads(done.stdout)
    made = []
    for name, steps in DOCUMENTS.items():
        response = VoiceResponse()
        walk(response, steps)
        made.append({"name": name, "python": str(response), "node": by_node[name]})
    return made
