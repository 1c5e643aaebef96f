//! Twilio's side of placed calls: its REST API, strict about what it takes; then its callbacks, and the call itself.
//!
//! The called number's last two digits tell what happens: 90 busy, 91 nobody answers, 92 a machine, others a human. So with
//! numbers that a caller is handed to.
#![allow(dead_code, reason = "nobody uses all of it")]

mod answers;
mod rules;

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use offhook_simulator::{CallPlan, CallReport, Script, place};
use offhook_twilio::signature::{AuthToken, sign};
use offhook_twilio::twiml::check;
use offhook_twilio::webhook::WebhookForm;
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use answers::{error, json, page, resource};
use rules::judge;

pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const TOKEN: &str = "12345";

/// What is answered to the next order for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Too many requests at once: not carried out.
    Busy,
    /// A fault; the call was not placed.
    Fault,
    /// A fault; but the call was placed.
    FaultButPlaced,
    /// The number is not verified.
    Unverified,
}

/// A call as the fake knows it.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) sid: String,
    pub(crate) form: BTreeMap<String, Vec<String>>,
    pub(crate) status: String,
    /// What it was updated with.
    pub(crate) updates: Vec<(String, String)>,
    pub(crate) report: Option<CallReport>,
    end: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    moods: VecDeque<Mood>,
    calls: Vec<Placed>,
    /// What was wrong with requests.
    faults: Vec<String>,
    creates: usize,
    script: Option<Script>,
    /// Documents that the fake itself serves, for calls that go on after their first stream.
    documents: Vec<String>,
}

/// The fake.
#[derive(Clone)]
pub(crate) struct FakeTwilio {
    pub(crate) base: String,
    state: Arc<Mutex<State>>,
}

impl FakeTwilio {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { base, state: Arc::default() };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let fake = serving.clone();
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        let fake = fake.clone();
                        async move { Ok::<_, Infallible>(fake.answer(request).await) }
                    });
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service);
                    let _ended = connection.await;
                });
            }
        });
        fake
    }

    pub(crate) fn mood(&self, moods: &[Mood]) {
        self.state.lock().unwrap().moods.extend(moods);
    }

    /// What humans say who are called.
    pub(crate) fn script(&self, script: Script) {
        self.state.lock().unwrap().script = Some(script);
    }

    pub(crate) fn calls(&self) -> Vec<Placed> {
        self.state.lock().unwrap().calls.clone()
    }

    /// How often a call was ordered.
    pub(crate) fn creates(&self) -> usize {
        self.state.lock().unwrap().creates
    }

    pub(crate) fn assert_no_faults(&self) {
        assert_eq!(self.state.lock().unwrap().faults, Vec::<String>::new());
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = head.uri.path().to_owned();
        if let Some(document) = path.strip_prefix("/twiml/").and_then(|number| number.parse::<usize>().ok()) {
            let document = self.state.lock().unwrap().documents[document].clone();
            return Response::builder()
                .header("content-type", "text/xml")
                .body(Full::new(document.into()))
                .unwrap();
        }
        let auth = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("");
        if auth != "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMToxMjM0NQ==" {
            return error(401, 20_003, "Authenticate");
        }
        let root = format!("/2010-04-01/Accounts/{ACCOUNT}/Calls");
        let form = WebhookForm::parse(&body);
        let rest = path.strip_prefix(&root).unwrap_or("?").to_owned();
        match (head.method.clone(), rest.as_str()) {
            (Method::POST, ".json") => self.create(&form),
            (Method::GET, ".json") => self.list(head.uri.query().unwrap_or("")),
            (Method::POST, rest) => self.update(rest.trim_matches(['/']).trim_end_matches(".json"), &form),
            (Method::GET, rest) => {
                let sid = rest.trim_matches(['/']).trim_end_matches(".json");
                let state = self.state.lock().unwrap();
                match state.calls.iter().find(|call| call.sid == sid) {
                    Some(call) => json(200, &resource(call)),
                    None => error(404, 20_404, "not found"),
                }
            }
            _ => error(405, 20_004, "Method not allowed"),
        }
    }

    fn create(&self, form: &WebhookForm) -> Response<Full<Bytes>> {
        let mut state = self.state.lock().unwrap();
        state.creates += 1;
        let mood = state.moods.pop_front();
        match mood {
            Some(Mood::Busy) => return error(429, 20_429, "Too Many Requests"),
            Some(Mood::Fault) => return error(500, 20_500, "Internal Server Error"),
            Some(Mood::Unverified) => return error(400, 21_219, "The number is unverified."),
            Some(Mood::FaultButPlaced) | None => {}
        }
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in form.params() {
            fields.entry(name.clone()).or_default().push(value.clone());
        }
        let wrong = judge(&fields);
        if !wrong.is_empty() {
            state.faults.extend(wrong.clone());
            return error(400, 20_422, &wrong.join("; "));
        }
        let sid = format!("CA{:032x}", state.calls.len() + 1);
        let (end, ended) = watch::channel(false);
        let call =
            Placed { sid, form: fields, status: "queued".into(), updates: Vec::new(), report: None, end };
        let answer = if mood == Some(Mood::FaultButPlaced) {
            error(500, 20_500, "Internal Server Error")
        } else {
            json(201, &resource(&call))
        };
        state.calls.push(call.clone());
        let script = state.script.clone().unwrap_or_else(|| Script::new(Vec::new()));
        drop(state);
        let fake = self.clone();
        tokio::spawn(async move { fake.carry_out(call, script, ended).await });
        answer
    }

    /// A page of calls, newest first.
    fn list(&self, query: &str) -> Response<Full<Bytes>> {
        let asked = WebhookForm::parse(query.as_bytes());
        let state = self.state.lock().unwrap();
        let wanted = |call: &&Placed| {
            ["To", "From"].iter().all(|name| asked.get(name).is_none_or(|value| call.form[*name][0] == value))
        };
        page(state.calls.iter().rev().filter(wanted).map(resource).collect(), &asked)
    }

    fn update(&self, sid: &str, form: &WebhookForm) -> Response<Full<Bytes>> {
        let mut state = self.state.lock().unwrap();
        let Some(place) = state.calls.iter().position(|call| call.sid == sid) else {
            return error(404, 20_404, "not found");
        };
        if matches!(state.calls[place].status.as_str(), "completed" | "busy" | "no-answer") {
            return error(400, 21_220, "Call is not in-progress. Cannot redirect.");
        }
        let [(name, value)] = form.params() else {
            state.faults.push(format!("an update with {} fields", form.params().len()));
            return error(400, 20_422, "one of Status, Twiml");
        };
        let good = match name.as_str() {
            "Status" => matches!(value.as_str(), "completed" | "canceled"),
            "Twiml" => {
                let found = offhook_twilio::twiml::check(200, Some("text/xml"), value.as_bytes()).findings;
                found.is_empty() && value.len() <= 4_000
            }
            _ => false,
        };
        if !good {
            state.faults.push(format!("an update with {name}={value}"));
            return error(400, 20_422, "malformed");
        }
        let call = &mut state.calls[place];
        call.updates.push((name.clone(), value.clone()));
        // Either way the stream is left.
        let _heard = call.end.send(true);
        json(200, &resource(call))
    }

    /// Dials as a document says, and does what its action says; gives what came of the stream, if there is another.
    pub(crate) async fn dial(&self, plan: &CallPlan, document: &str) -> Option<CallReport> {
        let between = |before: &str, after: &str| {
            let rest = document.split_once(before)?.1;
            Some(rest.split_once(after)?.0.replace("&amp;", "&"))
        };
        let (number, action) = (between("<Number>", "<")?, between("action=\"", "\"")?);
        let became = match &number[number.len() - 2..] {
            "90" => "busy",
            "91" => "no-answer",
            _ => "completed",
        };
        let form =
            offhook_twilio::webhook::incoming_call(plan.call_sid.as_str(), ACCOUNT, &plan.from, &plan.to)
                .with("DialCallStatus", became);
        let (status, next) = ask(&action, &form, &sign(&AuthToken::new(TOKEN), &action, form.params())).await;
        let found = check(status, Some("text/xml"), next.as_bytes());
        let number = {
            let mut state = self.state.lock().unwrap();
            state.faults.extend(found.findings.iter().map(ToString::to_string));
            found.stream?;
            state.documents.push(next);
            state.documents.len() - 1
        };
        let url = format!("{}/twiml/{number}", self.base);
        let stream_sid = StreamSid::parse(&format!("MZ{:032x}", 0xb0)).unwrap();
        place(CallPlan { url, stream_sid, ..plan.clone() }, |_| {}).await.ok()
    }

    fn set_status(&self, sid: &str, status: &str) {
        let mut state = self.state.lock().unwrap();
        if let Some(call) = state.calls.iter_mut().find(|call| call.sid == sid) {
            call.status = status.into();
        }
    }

    /// The call, from its first ringing to its last callback.
    async fn carry_out(&self, call: Placed, script: Script, mut ended: watch::Receiver<bool>) {
        let field = |name: &str| call.form.get(name).map(|values| values[0].clone()).unwrap_or_default();
        let to = field("To");
        let status_url = field("StatusCallback");
        let form = |status: &str, number: u32| {
            WebhookForm::default()
                .with("AccountSid", ACCOUNT)
                .with("CallSid", &call.sid)
                .with("CallStatus", status)
                .with("CallbackSource", "call-progress-events")
                .with("SequenceNumber", &number.to_string())
                .with("CallerCity", "")
        };
        tokio::time::sleep(Duration::from_millis(100)).await;
        post(&status_url, &form("initiated", 0)).await;
        self.set_status(&call.sid, "ringing");
        post(&status_url, &form("ringing", 1)).await;
        let unanswered = match &to[to.len() - 2..] {
            "90" => Some(("busy", "486")),
            "91" => Some(("no-answer", "487")),
            _ => None,
        };
        if let Some((status, sip)) = unanswered {
            self.set_status(&call.sid, status);
            let told = form(status, 2).with("CallDuration", "0").with("SipResponseCode", sip);
            post(&status_url, &told).await;
            return;
        }
        self.set_status(&call.sid, "in-progress");
        let number = u32::from_str_radix(&call.sid[2..], 16).unwrap();
        let plan = CallPlan {
            url: field("Url"),
            auth_token: Some(AuthToken::new(TOKEN)),
            call_sid: CallSid::parse(&call.sid).unwrap(),
            stream_sid: StreamSid::parse(&format!("MZ{number:032x}")).unwrap(),
            account_sid: AccountSid::parse(ACCOUNT).unwrap(),
            from: field("From"),
            to: to.clone(),
            script,
            hang_up_after: Duration::from_secs(20),
            longest: Duration::from_secs(20),
            drop_after: None,
        };
        let next = plan.clone();
        let talk = place(plan, |_| {});
        let in_progress = form("in-progress", 2);
        let answered = post(&status_url, &in_progress);
        let machine =
            to.ends_with("92").then(|| field("AsyncAmdStatusCallback")).filter(|url| !url.is_empty());
        let verdict = async {
            if let Some(url) = machine {
                tokio::time::sleep(Duration::from_millis(1_500)).await;
                let told = WebhookForm::default()
                    .with("AccountSid", ACCOUNT)
                    .with("CallSid", &call.sid)
                    .with("AnsweredBy", "machine_start")
                    .with("MachineDetectionDuration", "1500");
                post(&url, &told).await;
            }
            std::future::pending::<()>().await;
        };
        let report = tokio::select! {
            (report, _status) = async { tokio::join!(talk, answered) } => report.ok(),
            _ended = ended.wait_for(|ended| *ended) => None,
            () = verdict => None,
        };
        let update = self.calls().into_iter().find(|known| known.sid == call.sid).unwrap().updates.pop();
        if let Some((_, document)) = update.filter(|(_, document)| document.contains("<Dial")) {
            call.end.send_replace(false);
            tokio::select! {
                _report = self.dial(&next, &document) => {}
                _ended = ended.wait_for(|ended| *ended) => {}
            }
        }
        {
            let mut state = self.state.lock().unwrap();
            if let Some(known) = state.calls.iter_mut().find(|known| known.sid == call.sid) {
                known.report = report;
                known.status = "completed".into();
            }
        }
        post(&status_url, &form("completed", 3).with("CallDuration", "7").with("Duration", "1")).await;
    }
}

/// Posts a signed form.
pub(crate) async fn post(url: &str, form: &WebhookForm) -> u16 {
    post_signed(url, form, &sign(&AuthToken::new(TOKEN), url, form.params())).await
}

/// Posts a form with this signature; gives the status.
pub(crate) async fn post_signed(url: &str, form: &WebhookForm, signature: &str) -> u16 {
    ask(url, form, signature).await.0
}

/// Posts a form with this signature; gives status and body.
pub(crate) async fn ask(url: &str, form: &WebhookForm, signature: &str) -> (u16, String) {
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let body = form.encode();
    let head = format!(
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nX-Twilio-Signature: {signature}\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut wire = TcpStream::connect(host).await.unwrap();
    wire.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    wire.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned())
}
