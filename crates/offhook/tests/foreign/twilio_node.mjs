// A server by Twilio's own library for Node (`npm install twilio express ws`): its TwiML, its check of signatures, and `ws`. Nothing in it
// knows of Offhook.
//
// Run by the tests of this folder: twilio_node.mjs MODULES AUTH_TOKEN PORT. Prints what it was told, a line each.
import http from "node:http";
import { createRequire } from "node:module";

const [modules, token, port] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const [express, twilio, { WebSocketServer }] = ["express", "twilio", "ws"].map((name) => require(name));

const app = express();
const server = http.createServer(app);
const say = (...words) => console.log(...words);
let here;

app.use(express.urlencoded({ extended: false }));
// It answers 400 without a signature, 403 to a wrong one.
app.use((request, response, next) =>
  twilio.webhook(token, { protocol: "http", host: here })(request, response, next));

app.post("/voice", (request, response) => {
  say("called by", request.body.From);
  const twiml = new twilio.twiml.VoiceResponse();
  const relay = twiml.connect({ action: "/done" }).conversationRelay({
    url: `ws://${here}/relay`,
    welcomeGreeting: "Hello, this is Twilio for Node.",
    language: "en-US",
    ttsProvider: "Amazon",
    voice: "Joanna-Neural",
    transcriptionProvider: "Deepgram",
    speechModel: "nova-3-general",
    dtmfDetection: true,
    interruptible: "any",
    ignorebackchannel: true,
    debug: "speaker-events",
  });
  relay.language({ code: "es-ES", ttsProvider: "Amazon", voice: "Lucia-Neural" });
  relay.parameter({ name: "plan", value: "gold" });
  response.type("text/xml").send(twiml.toString());
});

app.post("/done", (request, response) => {
  const { SessionStatus, HandoffData, CallStatus } = request.body;
  say("done", SessionStatus, CallStatus, HandoffData);
  const twiml = new twilio.twiml.VoiceResponse();
  twiml.hangup();
  response.type("text/xml").send(twiml.toString());
});

const sockets = new WebSocketServer({ noServer: true });
server.on("upgrade", (request, socket, head) => {
  const signature = request.headers["x-twilio-signature"] ?? "";
  if (!twilio.validateRequest(token, signature, `ws://${here}${request.url}`, {})) {
    say("refused a socket");
    return socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
  }
  sockets.handleUpgrade(request, socket, head, (ws) => serve(ws));
});

function serve(ws) {
  const send = (message) => ws.send(JSON.stringify(message));
  const text = (token, last = true, more = {}) => send({ type: "text", token, last, ...more });
  const count = "One is the first number that there is. Two is what comes after the first of them. Three is what comes after these " +
    "two numbers. Four is what comes after three of them. Five is the last one.";
  ws.on("close", (code, reason) => say("closed", code, String(reason)));
  ws.on("message", (data) => {
    const message = JSON.parse(data);
    switch (message.type) {
      case "setup":
        return say("setup", message.callType, message.direction, message.customParameters.plan);
      case "prompt":
        say("heard", message.lang, message.voicePrompt);
        if (message.voicePrompt.includes("count")) {
          for (const word of count.split(/(?<= )/)) text(word, false);
          return text("", true);
        }
        if (message.voicePrompt.includes("Spanish")) {
          send({ type: "language", ttsLanguage: "es-ES", transcriptionLanguage: "es-ES" });
          return text("Muy bien.", true, { lang: "es-ES" });
        }
        return text("I have stopped.");
      case "interrupt":
        return say("interrupted", message.durationUntilInterruptMs > 0, message.utteranceUntilInterrupt);
      case "dtmf":
        say("key", message.digit);
        text("Goodbye.");
        return send({ type: "end", handoffData: JSON.stringify({ reason: "live-agent" }) });
      case "error":
        return say("error", message.description);
    }
  });
}

server.listen(Number(port), "127.0.0.1", () => {
  here = `127.0.0.1:${server.address().port}`;
  say(`listening on http://${here}/voice`);
});
