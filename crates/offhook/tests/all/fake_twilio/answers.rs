//! What Twilio's API answers, in the shape that its own libraries read.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use offhook_twilio::webhook::WebhookForm;

use super::{ACCOUNT, Placed};

/// The page of these calls that was asked for, with the fields that Twilio's lists have.
pub(super) fn page(calls: Vec<serde_json::Value>, asked: &WebhookForm) -> Response<Full<Bytes>> {
    let number = |name: &str, other: usize| asked.get(name).map_or(other, |text| text.parse().unwrap());
    let (size, page) = (number("PageSize", 50), number("Page", 0));
    let root = format!("/2010-04-01/Accounts/{ACCOUNT}/Calls.json?PageSize={size}");
    let (start, more) = (page * size, calls.len() > (page + 1) * size);
    let shown: Vec<_> = calls.into_iter().skip(start).take(size).collect();
    json(
        200,
        &serde_json::json!({
            "end": (start + shown.len()).saturating_sub(1), "start": start, "page": page, "page_size": size,
            "first_page_uri": format!("{root}&Page=0"), "uri": format!("{root}&Page={page}"),
            "next_page_uri": more.then(|| format!("{root}&Page={}&PageToken=PACA", page + 1)),
            "previous_page_uri": (page > 0).then(|| format!("{root}&Page={}", page - 1)),
            "calls": shown,
        }),
    )
}

/// All fields that Twilio has, as it writes them ("Call resource"): numbers as texts, what isn't known yet as null.
pub(super) fn resource(call: &Placed) -> serde_json::Value {
    let now = httpdate::fmt_http_date(std::time::SystemTime::now()).replace("GMT", "+0000");
    let over = matches!(call.status.as_str(), "completed" | "busy" | "no-answer");
    let begun = over || call.status == "in-progress";
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Calls/{}", call.sid);
    let names = ["Events", "Notifications", "Payments", "Recordings", "Siprec", "Streams", "Transcriptions"];
    let within: serde_json::Map<String, serde_json::Value> =
        names.iter().map(|name| (name.to_lowercase(), format!("{path}/{name}.json").into())).collect();
    serde_json::json!({
        "sid": call.sid, "status": call.status, "to": call.form["To"][0], "from": call.form["From"][0],
        "to_formatted": call.form["To"][0], "from_formatted": call.form["From"][0], "account_sid": ACCOUNT,
        "api_version": "2010-04-01", "direction": "outbound-api", "date_created": now, "date_updated": now,
        "start_time": begun.then_some(&now), "end_time": over.then_some(&now), "duration": over.then_some("7"),
        "price": null, "price_unit": "USD", "queue_time": "0", "annotation": null, "answered_by": null,
        "caller_name": null, "forwarded_from": null, "group_sid": null, "parent_call_sid": null,
        "phone_number_sid": "PN00000000000000000000000000000001", "trunk_sid": null,
        "uri": format!("{path}.json"), "subresource_uris": within,
    })
}

pub(super) fn json(status: u16, body: &serde_json::Value) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header("twilio-request-id", "RQ1")
        .body(Full::new(body.to_string().into()))
        .unwrap()
}

pub(super) fn error(status: u16, code: u32, message: &str) -> Response<Full<Bytes>> {
    let more = format!("https://www.twilio.com/docs/errors/{code}");
    json(
        status,
        &serde_json::json!({ "code": code, "message": message, "more_info": more, "status": status }),
    )
}
