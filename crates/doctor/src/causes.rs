//! Everything that the doctor can name: how bad it is, what Twilio does, what to do. Twilio's codes are those of its error
//! dictionary (twilio.com/docs/api/errors).

use crate::finding::Severity;

/// A cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Its name, for programs.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Twilio's code, if it would tell one.
    pub code: Option<u32>,
    /// What Twilio does, and what the caller notices.
    pub effect: &'static str,
    /// What to do.
    pub fix: &'static str,
}

macro_rules! causes {
    ($($name:ident = $id:literal, $severity:ident, $code:expr, $effect:expr, $fix:expr;)*) => {
        $(
            #[doc = concat!("`", $id, "`")]
            pub const $name: Cause = Cause { id: $id, severity: Severity::$severity, code: $code, effect: $effect, fix: $fix };
        )*
        /// All of them.
        pub const ALL: &[Cause] = &[$($name),*];
    };
}

const SORRY: &str = "the caller hears “an application error has occurred”, and the call ends";
const NO_STREAM: &str = "the stream never starts; the call goes on with the next verb, or ends in silence";
const NO_SESSION: &str = "the session never starts; Twilio asks the action, or the call ends";
const DROPPED: &str =
    "Twilio drops the message: it is not spoken; after ten in a row it ends the session (64105)";
const NOT_PLAYED: &str = "Twilio warns once and doesn't play it: the caller hears silence";
const NOISE: &str = "the caller hears noise or clicks instead of a voice; Twilio says nothing";

causes! {
    // ------------------------------------------------------------------------------------- address and connection
    URL_INVALID = "url-invalid", Fails, Some(11100), SORRY, "give an absolute URL: https://voice.example.com/voice";
    NAME_UNKNOWN = "name-unknown", Fails, Some(11210), SORRY,
        "check the spelling, and that the DNS entry exists: `dig +short voice.example.com`; a free tunnel's name changes at each start";
    ADDRESS_PRIVATE = "address-private", Fails, Some(11205), SORRY,
        "Twilio comes from the internet: put a public address or a tunnel in front, e.g. `cloudflared tunnel --url http://localhost:5000`, and write its https URL in the console. While you are still on this machine, use --local";
    NAME_UNDERSCORE = "name-underscore", Risky, Some(11100), "Twilio refuses such names for status callbacks",
        "use a host name without `_`: voice-1.example.com";
    REFUSED = "connection-refused", Fails, Some(11202), SORRY, "start the server; check port and firewall: `ss -ltn`, and that it listens on 0.0.0.0, not on 127.0.0.1 behind a proxy on another machine";
    UNREACHABLE = "unreachable", Fails, Some(11205), SORRY, "open TCP port 443 to any address: Twilio has no fixed ones";
    CONNECT_TIMEOUT = "connect-timeout", Fails, Some(11201), SORRY, "a firewall swallows the packets: open TCP port 443 to any address";
    TLS_SELF_SIGNED = "certificate-self-signed", Fails, Some(11237), SORRY,
        "get a certificate of a public authority: `certbot certonly -d voice.example.com`";
    TLS_UNTRUSTED = "certificate-untrusted", Fails, Some(11237), SORRY,
        "serve the full chain: nginx `ssl_certificate …/fullchain.pem;` (not cert.pem), from an authority on Mozilla's list";
    TLS_EXPIRED = "certificate-expired", Fails, Some(11236), SORRY, "renew it: `certbot renew`, and reload the server";
    TLS_NOT_YET = "certificate-not-yet-valid", Fails, Some(11236), SORRY, "check the clock of the machine that made it";
    TLS_WRONG_HOST = "certificate-other-host", Fails, Some(11235), SORRY,
        "get a certificate for this very name, or write the certificate's name in the URL";
    TLS_NONE = "no-tls", Fails, Some(11206), SORRY,
        "the port speaks plain HTTP: put a proxy with TLS in front, or use the port that has it (443); of ngrok use the HTTP tunnel, not TCP";
    TLS_BROKEN = "tls-broken", Fails, Some(11220), SORRY, "allow TLS 1.2 and 1.3 with usual ciphers: nginx `ssl_protocols TLSv1.2 TLSv1.3;`";
    TLS_SILENT = "tls-unanswered", Fails, Some(11220), SORRY, "the port takes connections and says nothing: look whether the server behind it hangs, or whether the port is another program's";
    TLS_ENDS_SOON = "certificate-ends-soon", Risky, Some(11236), "when it ends, every call fails", "renew it now, and see why that didn't happen by itself";
    // -------------------------------------------------------------------------------------------------- the webhook
    BROKEN_HTTP = "broken-http", Fails, Some(11206), SORRY, "the server breaks off or doesn't speak HTTP/1.1: look at its log for a crash";
    TOO_SLOW = "webhook-too-slow", Fails, Some(11200), SORRY,
        "answer at once, and do slow work afterwards: answer `<Connect><Stream …/></Connect>` and open the model's connection while the stream starts";
    SLOW = "webhook-slow", Risky, Some(11200), "the caller hears ringing for so long; after 15 s Twilio gives up",
        "answer before slow work; keep one instance warm if the host puts it to sleep";
    REDIRECTS = "redirect-loop", Fails, Some(11215), SORRY, "write the final URL in the console; let proxy and application agree on https (X-Forwarded-Proto)";
    NOT_FOUND = "webhook-not-found", Fails, Some(11200), SORRY, "write the route's path in the console, e.g. https://voice.example.com/voice";
    WRONG_METHOD = "webhook-method", Fails, Some(11200), SORRY, "let the route take POST: `app.post(\"/voice\", …)`, or set the number's webhook to HTTP GET";
    AUTHENTICATION = "webhook-authentication", Fails, Some(11200), SORRY,
        "Twilio can't log in on a page: exempt this path, or write user and password in the URL: https://user:password@voice.example.com/voice";
    FORBIDDEN = "webhook-forbidden", Fails, Some(11200), SORRY,
        "if the server checks Twilio's signature, give the doctor the token: TWILIO_AUTH_TOKEN=… offhook doctor URL; else let a firewall or bot filter pass this path";
    REDIRECT_TO_GET = "redirect-loses-post", Fails, Some(11200), SORRY, "write the final URL in the console, with https and the right slash at its end: after 301, 302 and 303 Twilio asks by GET; 307 and 308 keep POST";
    CSRF = "webhook-csrf", Fails, Some(11200), SORRY, "exempt the path from the check of forms: Django `@csrf_exempt`, Rails `skip_before_action :verify_authenticity_token`, Laravel `validateCsrfTokens(except: […])`; check Twilio's signature instead";
    BOT_CHECK = "webhook-bot-check", Fails, Some(11200), SORRY, "a bot filter wants to see a browser: let it skip this path (Cloudflare: a WAF rule with action Skip, no Bot Fight Mode)";
    GATEWAY = "webhook-gateway", Fails, Some(11200), SORRY, "the proxy or tunnel is up, but not the server behind it: start it on the port that the proxy forwards to";
    SERVER_ERROR = "webhook-server-error", Fails, Some(11200), SORRY, "look at the server's log for the exception; `curl -d CallSid=CA1 URL` repeats it";
    BAD_STATUS = "webhook-status", Fails, Some(11200), SORRY, "answer with status 200";
    CONTENT_TYPE = "content-type", Fails, Some(12300), SORRY,
        "say what it is: `Content-Type: text/xml` (FastAPI: `Response(content=xml, media_type=\"text/xml\")`, Express: `res.type(\"text/xml\")`)";
    NO_CONTENT_TYPE = "content-type-missing", Fails, Some(12300), SORRY, "add the header `Content-Type: text/xml`";
    // ------------------------------------------------------------------------------------------------- the document
    EMPTY_BODY = "empty-body", Fails, Some(12100), SORRY, "answer with a document: `<Response><Connect><Stream url=\"wss://…\"/></Connect></Response>`";
    EMPTY_CHUNKED = "empty-chunked", Fails, Some(11770), SORRY, "send a body, or `Content-Length: 0`";
    TOO_LONG = "document-too-long", Fails, Some(11750), SORRY, "answer with the TwiML only, below 64 kB; a debug page is longer";
    BEFORE_PROLOG = "before-prolog", Fails, Some(12100), SORRY, "let nothing stand before `<?xml`: trim the template, save without a byte-order mark";
    HTML_PAGE = "html-page", Fails, Some(12100), SORRY, "a web page came instead of TwiML (a login, a tunnel's warning, a framework's start page): route this path to the code that answers TwiML";
    JSON_INSTEAD = "json-instead", Fails, Some(12100), SORRY, "send the XML itself, not a JSON string of it";
    ESCAPED = "document-escaped", Fails, Some(12100), SORRY, "the document is escaped as a whole: send it as it is, not through a template or function that escapes (Jinja `|safe`, no html.escape)";
    COMPRESSED = "compressed", Fails, Some(12100), SORRY, "the request doesn't ask for compression: switch it off for this path (nginx: gzip off;), or heed Accept-Encoding";
    NOT_UTF8 = "not-utf8", Fails, Some(12100), SORRY, "write the document as UTF-8";
    BARE_AMPERSAND = "bare-ampersand", Fails, Some(12100), SORRY, "write `&` as `&amp;`: <Redirect>https://h/next?a=1&amp;b=2</Redirect>; of HTML's entities XML knows none: write &#160; for &nbsp;";
    CONTROL_CHARACTER = "control-character", Fails, Some(12100), SORRY, "take out characters that XML 1.0 forbids, U+0000 to U+001F but tab and line ends";
    NOT_WELL_FORMED = "not-well-formed", Fails, Some(12100), SORRY, "close every tag, quote every attribute; better let a library write the XML";
    WRONG_ROOT = "root-not-response", Fails, Some(12102), SORRY, "wrap the verbs: <Response>…</Response>; case counts";
    EMPTY_RESPONSE = "empty-response", Fails, None, "nothing is left to do: the call ends at once", "put verbs into it: <Response><Connect><Stream url=\"wss://…\"/></Connect></Response>";
    UNKNOWN_ELEMENT = "unknown-element", Risky, Some(12200), "Twilio warns and leaves it out", "fix the spelling; case counts: <Connect><Stream …/></Connect>";
    UNKNOWN_ATTRIBUTE = "unknown-attribute", Risky, Some(12200), "Twilio warns and ignores it", "fix the spelling; case counts: statusCallback, not statuscallback";
    STREAM_LOST = "stream-lost", Fails, Some(12200), "Twilio leaves the misspelt or misplaced element out, and with it the stream: the call ends at once", "write <Response><Connect><Stream url=\"wss://…\"/></Connect></Response>; case counts";
    PARAMETER_TOO_LONG = "parameter-too-long", Fails, Some(12200), "a <Parameter> of 500 characters or more (name and value) doesn't arrive", "pass a short id, and look the rest up by it: <Parameter name=\"session\" value=\"8f3a\"/>";
    STREAM_URL_MISSING = "stream-url-missing", Fails, Some(31923), NO_STREAM, "give the stream a URL: <Stream url=\"wss://voice.example.com/media\"/>";
    STREAM_URL_RELATIVE = "stream-url-relative", Risky, Some(31923), "documented, yet reported as failing", "write the whole URL: <Stream url=\"wss://voice.example.com/media\"/>";
    STREAM_URL_SCHEME = "stream-url-scheme", Fails, Some(31922), NO_STREAM, "Twilio connects by wss only: <Stream url=\"wss://voice.example.com/media\"/>";
    STREAM_URL_BROKEN = "stream-url-broken", Fails, Some(31923), NO_STREAM, "write a plain URL: <Stream url=\"wss://voice.example.com/media\"/>";
    STREAM_URL_QUERY = "stream-url-query", Risky, Some(31920), "Twilio drops everything from `?` on before it connects", "pass it as a parameter: <Stream url=\"wss://h/media\"><Parameter name=\"id\" value=\"42\"/></Stream>, and read start.customParameters";
    STREAM_QUERY_NEEDED = "stream-query-needed", Fails, Some(31920), "Twilio drops the query, and the server refuses the handshake without it", "pass it as a parameter: <Stream url=\"wss://h/media\"><Parameter name=\"id\" value=\"42\"/></Stream>, and read start.customParameters; or put it in the path";
    TRACK_WRONG = "track-wrong", Fails, Some(31941), NO_STREAM, "<Connect><Stream> takes no `track`, or track=\"inbound_track\"; <Start><Stream> also outbound_track and both_tracks";
    START_ENDS = "start-then-nothing", Fails, None, "<Start> doesn't wait: with no verb after it the call ends at once", "for an agent that speaks use <Connect><Stream url=\"wss://…\"/></Connect>; to listen in, let a verb follow";
    START_ONE_WAY = "start-is-one-way", Fails, Some(31924), "<Start><Stream> only listens: what the server sends is never heard", "for an agent that speaks use <Connect><Stream url=\"wss://…\"/></Connect>";
    REDIRECT_ROUND = "redirect-round", Fails, None, "Twilio asks for one document after the other and says nothing: the caller hears silence", "let <Redirect> lead to a document that speaks or connects, not back to itself";
    UNREACHABLE_STREAM = "stream-unreachable", Fails, None, "a verb before the stream takes the call away: the stream never starts", "put <Connect> before it";
    PAUSE_AFTER = "pause-after-stream", Risky, None, "when the server closes the stream, the caller stays in silence for the length of the pause", "end with <Hangup/> instead of <Pause/>";
    OTHER_FORMAT = "other-format", Fine, None, "Twilio's documents know μ-law at 8 kHz only; its libraries can ask for others. The sound isn't judged here", "leave audioFormat and sampleRate away, unless Twilio has told you that your account may use them";
    RELAY_URL = "relay-url", Fails, Some(64101), NO_SESSION, "give the session an absolute URL: <ConversationRelay url=\"wss://voice.example.com/relay\"/>";
    RELAY_MISMATCH = "relay-values-mismatch", Fails, Some(64101), NO_SESSION, "let voice and model be those of the provider that is named: ttsProvider=\"Google\" voice=\"en-US-Journey-O\", ttsProvider=\"Amazon\" voice=\"Joanna-Neural\", transcriptionProvider=\"Deepgram\" speechModel=\"nova-3-general\"";
    RELAY_VALUE = "relay-value", Fails, Some(64101), NO_SESSION, "write the value as Twilio does; case counts: ttsProvider=\"ElevenLabs\", interruptible=\"any\"";
    CONNECT_EMPTY = "connect-empty", Fails, Some(12200), "nothing is connected: the call goes on with the next verb, or ends", "put the stream into it: <Connect><Stream url=\"wss://voice.example.com/media\"/></Connect>; templates may have dropped it";
    NO_STREAM_HERE = "no-stream", Fine, None, "the document has no Media Stream: there is nothing more to examine", "if there should be one: <Connect><Stream url=\"wss://voice.example.com/media\"/></Connect>";
    // -------------------------------------------------------------------------------------------------- signatures
    SIGNATURE_REFUSED = "signature-refused", Fails, Some(11200), SORRY, "check that the server has this account's primary auth token, and no blank or quote around it; it signs with the token, not with an API key";
    SIGNATURE_OTHER_URL = "signature-other-url", Fails, Some(11200), SORRY, "the server checks against another spelling of the URL: behind a proxy build it from X-Forwarded-Proto and -Host, better from a configured public URL";
    SIGNATURE_OTHER_PARAMS = "signature-other-parameters", Fails, Some(11200), SORRY, "the server checks the signature over other parameters than were sent: take all of the form's, blanks too, decoded once, before any middleware drops or trims them";
    FORGED_ACCEPTED = "forged-accepted", Risky, None, "anyone can post to the webhook, and start calls that you pay for", "check X-Twilio-Signature; answer 403 when it is wrong";
    UPGRADE_FORGED_ACCEPTED = "upgrade-forged-accepted", Risky, None, "anyone can open a stream, and talk to the model that you pay for", "check X-Twilio-Signature of the upgrade over the wss URL, and a one-time <Parameter> token";
    UPGRADE_OTHER_URL = "upgrade-signature-other-url", Fails, Some(31920), NO_STREAM, "check the upgrade's signature over the URL as the TwiML has it, with scheme wss, not https or ws";
    // ------------------------------------------------------------------------------------------------- the upgrade
    UPGRADE_NOT_FOUND = "upgrade-not-found", Fails, Some(31920), NO_STREAM, "let the path in the TwiML be the path of the WebSocket's route; check prefixes that a proxy takes off";
    UPGRADE_FORBIDDEN = "upgrade-forbidden", Fails, Some(31920), NO_STREAM, "let Twilio in: no cookies, no login, no Origin; if the server checks signatures, give the doctor the token (TWILIO_AUTH_TOKEN)";
    UPGRADE_REDIRECT = "upgrade-redirected", Fails, Some(31920), "Twilio follows no redirect here: the stream never starts", "write the final URL, with the right scheme, host and slash at the end: wss://voice.example.com/media/";
    UPGRADE_EATEN = "upgrade-header-lost", Fails, Some(31920), NO_STREAM, "a proxy takes `Upgrade` away, or the route is plain HTTP; nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"; cloudflared: --protocol http2";
    UPGRADE_GATEWAY = "upgrade-gateway", Fails, Some(31920), NO_STREAM, "the proxy finds no WebSocket server behind it: check the port of this path";
    UPGRADE_STATUS = "upgrade-status", Fails, Some(31920), NO_STREAM, "answer the handshake with 101; look at the server's log for why it didn't";
    UPGRADE_ORIGIN = "upgrade-origin-demanded", Fails, Some(31920), NO_STREAM, "Twilio sends no Origin: don't check it on this path";
    SUBPROTOCOL_DEMANDED = "subprotocol-demanded", Fails, Some(31920), NO_STREAM, "Twilio offers no subprotocol: don't demand one";
    SOCKET_IO = "socket-io", Fails, Some(31920), NO_STREAM, "Socket.IO is another protocol, which Twilio doesn't speak: serve a plain WebSocket on this path (Node `ws`, Python `websockets`, FastAPI `@app.websocket`, flask-sock)";
    UPGRADE_SILENT = "upgrade-unanswered", Fails, Some(31901), NO_STREAM, "the server takes the connection and never answers: accept the WebSocket before waiting for anything else";
    UPGRADE_CLOSED = "upgrade-closed", Fails, Some(31920), NO_STREAM, "the server closes instead of answering: look at its log for a crash in the handshake";
    HTTP2_ONLY = "http2-only", Fails, Some(31920), NO_STREAM, "Twilio upgrades by HTTP/1.1: allow it beside HTTP/2";
    NOT_HTTP = "upgrade-not-http", Fails, Some(31920), NO_STREAM, "the port doesn't speak HTTP: check it";
    ACCEPT_WRONG = "accept-wrong", Fails, Some(31920), NO_STREAM, "Sec-WebSocket-Accept is base64(SHA-1(key + GUID)), RFC 6455 4.2.2: let a library do the handshake";
    UPGRADE_HEADERS = "upgrade-headers-missing", Fails, Some(31920), NO_STREAM, "answer `Upgrade: websocket` and `Connection: Upgrade`: let a library do the handshake";
    SUBPROTOCOL_ANSWERED = "subprotocol-answered", Fails, Some(31920), NO_STREAM, "don't answer a Sec-WebSocket-Protocol that wasn't offered (RFC 6455 4.1)";
    EXTENSION_ANSWERED = "extension-answered", Fails, Some(31924), NO_STREAM, "don't answer Sec-WebSocket-Extensions: Twilio offered none; switch permessage-deflate off";
    // ------------------------------------------------------------------------------------------------------ the call
    CLOSED_EARLY = "server-closed", Fails, Some(31921), "the stream ends; the call goes on with the next verb, or ends", "don't close before the agent has spoken: look at the server's log for an exception after `start`";
    BROKE_OFF = "connection-broke", Fails, Some(31903), "the stream ends; the call goes on with the next verb, or ends", "look for a crash, or a proxy that cuts idle connections";
    WEBSOCKET_BROKEN = "websocket-broken", Fails, Some(31924), "Twilio ends the stream", "send whole, unmasked frames; don't fragment control frames; no compression";
    NEVER_READS = "never-reads", Fails, Some(31930), "Twilio's messages pile up unread; it drops the caller's voice, and the agent hears nothing", "attach the reader before any other work, and never wait in it";
    NO_PONG = "no-pong", Risky, Some(31930), "pings stay unanswered: the server reads late or not at all", "read the socket all the time, also while the agent speaks";
    NEVER_SPEAKS = "never-speaks", Fails, None, "the caller hears silence; Twilio says nothing", "send `media` messages after `start`, also when nobody has spoken yet; look whether speech-to-text, model and voice answer";
    CLEARS_OWN = "clears-its-own-voice", Fails, None, "the caller hears nothing, or only beginnings: `clear` throws away what was just sent", "send `clear` only when the caller interrupts, and before the answer to that is sent; not with each piece, nor at the end of an utterance";
    ONLY_SILENCE = "only-silence", Fails, None, "sound is sent, but all of it is silence", "look at what the voice provider answers, and at the conversion to μ-law";
    NEVER_ANSWERS = "never-answers", Fails, None, "the caller speaks and hears nothing: the agent is deaf, or its answer is lost; Twilio says nothing", "look whether the caller's `media` reach speech-to-text (decode μ-law at 8 kHz, don't wait for `mark` first), and whether transcript, model and voice follow";
    LATE_SOUND = "late-first-sound", Risky, None, "callers say “hello?” or hang up after 3 s of silence", "open the providers' connections while the webhook is answered; play a greeting at once";
    LATE_ANSWER = "late-answer", Risky, None, "callers repeat themselves or hang up", "begin to think before the turn is surely over; stream the voice; say a filler after 2 s";
    BINARY = "binary-frames", Fails, Some(31950), NOT_PLAYED, "send JSON as text: {\"event\":\"media\",\"streamSid\":\"MZ…\",\"media\":{\"payload\":\"<base64>\"}}";
    NOT_JSON = "not-json", Fails, Some(31951), NOT_PLAYED, "send one JSON object a message; log errors instead of sending them";
    NO_STREAM_SID = "stream-sid-missing", Fails, Some(31951), NOT_PLAYED, "put start.streamSid into each message: {\"event\":\"media\",\"streamSid\":\"MZ…\",\"media\":{…}}; send nothing before `start`";
    WRONG_STREAM_SID = "stream-sid-wrong", Fails, Some(31951), NOT_PLAYED, "take the streamSid from this socket's `start`, not from a global variable or the CallSid";
    UNKNOWN_EVENT = "unknown-event", Fails, Some(31951), NOT_PLAYED, "Twilio knows `media`, `mark` and `clear`: {\"event\":\"media\",…}";
    EXTRA_FIELD = "extra-field", Risky, Some(31951), "Twilio asks for the documented fields and no other, and may not play it", "send event, streamSid and media.payload only";
    BAD_SHAPE = "bad-shape", Fails, Some(31951), NOT_PLAYED, "send {\"event\":\"media\",\"streamSid\":\"MZ…\",\"media\":{\"payload\":\"<base64>\"}}";
    BAD_BASE64 = "bad-base64", Fails, Some(31951), NOT_PLAYED, "encode with standard base64 with padding, not the URL-safe one, and no data: prefix";
    WAV_HEADER = "wav-header", Fails, None, "the caller hears a click at each chunk, or noise throughout; Twilio says nothing", "take the header off, up to the `data` chunk, or ask the provider for bare sound: ulaw_8000";
    CONTAINER = "container", Fails, None, NOISE, "ask the provider for bare μ-law at 8 kHz (ElevenLabs: output_format=ulaw_8000, OpenAI Realtime: audio/pcmu), or decode it first; JSON and HTML are its error: look at the status before you send the body on";
    ENCODED_TWICE = "encoded-twice", Fails, None, NOISE, "encode the octets once, with base64: Node `buffer.toString('base64')`, Python `base64.b64encode(octets).decode()`; don't encode what a provider sent as base64 already";
    ZEROS = "zeros-for-silence", Fails, None, "the caller hears a loud click where each pause begins and ends; Twilio says nothing", "silence in μ-law is 0xFF: pad with that, or send nothing";
    LINEAR = "linear-pcm", Fails, None, NOISE, "convert 16-bit samples to 8 kHz μ-law, one byte a sample, or ask the provider for μ-law";
    A_LAW = "a-law", Fails, None, NOISE, "ask for μ-law (pcmu), not A-law (pcma)";
    MULAW_INVERTED = "mulaw-inverted", Fails, None, NOISE, "G.711 inverts all bits of a μ-law octet before it is sent: leave out the second inversion, or put in the one that is missing";
    BIT_ORDER = "bit-order", Fails, None, NOISE, "send G.711's octets as its tables have them: the sign is the highest bit (0x80); take out what turns the bits or halves of an octet around, or flips some of them";
    NOT_SOUND = "not-sound", Fails, None, NOISE, "such octets come of compression (MP3, Opus, AAC, gzip) or encryption: decode them, and encode the samples as μ-law at 8 kHz";
    CLIPPED = "clipped", Risky, None, "the caller hears a distorted voice; Twilio says nothing", "lower the level before the conversion to μ-law: speech at −18 dBov has room for its peaks; don't scale floats twice";
    BROKEN_UP = "voice-broken-up", Fails, None, "the caller hears a rough, broken voice; Twilio says nothing", "send each piece once, in order, and one voice at a time: look for a queue that drops or doubles pieces, or two tasks that write to one socket";
    GAPS = "gaps-in-voice", Risky, None, "the caller hears the voice stutter; Twilio says nothing", "send faster than it plays: some hundred ms ahead of the playout, timed by a clock and not by sleeps in a row; don't fill pieces up with silence";
    WRONG_RATE = "wrong-rate", Fails, None, "the caller hears a slow, deep drawl; Twilio says nothing", "convert the sound to 8 kHz before it becomes μ-law, or ask the provider for 8 kHz (ElevenLabs: output_format=ulaw_8000, OpenAI Realtime: audio/pcmu, Google: sampleRateHertz 8000)";
    OVERFLOW = "buffer-overflow", Fails, Some(31931), "Twilio holds 10 minutes; what is beyond is lost", "send in step with the playout, some hundred ms ahead";
    NO_CLEAR = "no-clear", Risky, None, "the agent can't be interrupted: what is queued at Twilio plays on while the caller speaks", "when the caller speaks, send {\"event\":\"clear\",\"streamSid\":\"MZ…\"} and drop what is still to be sent";
    SPEAKS_ON = "not-interruptible", Risky, None, "the agent can't be interrupted: it goes on speaking while the caller speaks", "when the caller speaks, stop sending, and send {\"event\":\"clear\",\"streamSid\":\"MZ…\"}";
    SILENT_AFTER = "silent-after-interruption", Risky, None, "the caller interrupts, and then hears nothing: they hang up", "after `clear` answer what was said: look whether the interrupted task is cancelled, and a new one begun";
    CLOSED_UNANSWERED = "closed-unanswered", Risky, Some(31921), "the caller speaks, and the stream ends; the call goes on with the next verb, or ends", "keep the stream open until the caller was answered: look at the server's log for an error in what it makes of speech";
    // ------------------------------------------------------------------------------------------- ConversationRelay
    RELAY_IS_STREAM = "relay-speaks-media-streams", Fails, Some(64107), DROPPED, "this URL speaks Media Streams (`event`), not ConversationRelay (`type`): connect to it by <Stream>, or answer with {\"type\":\"text\",\"token\":\"Hello\",\"last\":true}";
    RELAY_NOT_JSON = "relay-not-json", Fails, Some(64107), DROPPED, "send one JSON object a message, as text; log errors instead of sending them";
    RELAY_TYPE = "relay-unknown-type", Fails, Some(64107), DROPPED, "Twilio knows text, play, sendDigits, language and end: {\"type\":\"text\",\"token\":\"Hello\",\"last\":true}";
    RELAY_FIELD = "relay-wrong-field", Fails, Some(64107), DROPPED, "the words go into `token`, a string: {\"type\":\"text\",\"token\":\"Hello\",\"last\":true}";
    RELAY_EXTRA = "relay-extra-field", Risky, Some(64107), "Twilio documents no such field, and may drop the message", "send the documented fields only: {\"type\":\"text\",\"token\":\"Hello\",\"last\":true}";
    RELAY_TEN = "relay-ten-malformed", Fails, Some(64105), "ten messages in a row that Twilio can't use end the session", "send what ConversationRelay knows: {\"type\":\"text\",\"token\":\"Hello\",\"last\":true}";
    RELAY_SILENT = "relay-never-answers", Fails, None, "the caller hears silence; Twilio says nothing", "answer each `prompt` whose `last` is true (its words are in `voicePrompt`) with `text` messages; look whether the model answers";
    RELAY_NO_LAST = "relay-last-missing", Fails, None, "Twilio waits for more of the answer: its end may stay unspoken", "end each answer with {\"type\":\"text\",\"token\":\"\",\"last\":true}";
    RELAY_ENDS = "relay-closed", Fails, Some(64105), "the session fails; Twilio asks the action, or the call ends", "keep the socket open for the whole call, and end it by {\"type\":\"end\"}; look at the server's log for an exception";
    LINGERS = "lingers-after-stop", Risky, None, "after `stop` the server keeps the connection: sessions and provider sockets leak", "end the session at `stop`, and when the socket closes; there is no `close` event";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_mends_are_said() {
        for (index, cause) in ALL.iter().enumerate() {
            assert!(ALL.iter().skip(index + 1).all(|other| other.id != cause.id), "{}", cause.id);
            assert!(cause.fix.len() > 15 && cause.effect.len() > 15, "{}", cause.id);
        }
    }

    #[test]
    fn each_code_has_a_meaning_and_a_page() {
        let named = ALL.iter().filter_map(|cause| cause.code);
        for code in named.chain(offhook_twilio::errors::ERRORS.iter().map(|error| error.code)) {
            let page = format!("{}/../../docs/errors/{code}.md", env!("CARGO_MANIFEST_DIR"));
            assert!(std::path::Path::new(&page).exists(), "no docs/errors/{code}.md");
            assert!(offhook_twilio::errors::lookup(code).is_some(), "{code} is not among Twilio's errors");
        }
    }
}
