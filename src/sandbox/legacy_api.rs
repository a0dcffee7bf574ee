//! `in.php` and `res.php`: 2captcha's protocol, which the vendor emulates.

use axum::{
    body::Body,
    extract::{FromRequest, Multipart, Request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::{Value, json};

use super::{
    json_api::json_response,
    keys::{key_error, key_has_nocache},
    tasks::{self, Nocache, Solution, Tasks},
};

/// Names and values from query and body.
pub type Parameters = Vec<(String, String)>;

/// Reads all parameters of a request.
pub async fn parameters(query: &str, content_type: Option<&str>, body: Bytes) -> Parameters {
    let mut parameters: Parameters = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let content_type = content_type.unwrap_or("");
    if content_type.to_ascii_lowercase().starts_with("multipart/") {
        parameters.extend(multipart(content_type, body).await);
    } else if let Ok(Value::Object(object)) = serde_json::from_slice(&body) {
        let text = |value: Value| value.as_str().map_or(value.to_string(), str::to_owned);
        parameters.extend(object.into_iter().map(|(name, value)| (name, text(value))));
    } else {
        parameters.extend(form_urlencoded::parse(&body).into_owned());
    }
    parameters
}

async fn multipart(content_type: &str, body: Bytes) -> Parameters {
    let mut parameters = Vec::new();
    let request = Request::builder()
        .header(header::CONTENT_TYPE, content_type)
        .body(Body::from(body));
    let Ok(request) = request else {
        return parameters;
    };
    let Ok(mut parts) = Multipart::from_request(request, &()).await else {
        return parameters;
    };
    while let Ok(Some(part)) = parts.next_field().await {
        let Some(name) = part.name().map(str::to_owned) else {
            continue;
        };
        if let Ok(value) = part.text().await {
            parameters.push((name, value));
        }
    }
    parameters
}

fn value<'p>(parameters: &'p Parameters, name: &str) -> &'p str {
    parameters
        .iter()
        .find(|parameter| parameter.0.eq_ignore_ascii_case(name))
        .map_or("", |parameter| &parameter.1)
}

/// The response of `in.php` or `res.php`.
pub fn call(path: &str, parameters: &Parameters, tasks: &mut Tasks) -> Response {
    let mut response = match path {
        "in.php" => submit(parameters, tasks),
        _ => result(parameters, tasks),
    };
    // What 2captcha calls it: "header access-control-allow-origin".
    if value(parameters, "header_acao") == "1" {
        let fields = response.headers_mut();
        fields.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    response
}

/// `in.php`: creates a task.
fn submit(parameters: &Parameters, tasks: &mut Tasks) -> Response {
    let key = value(parameters, "key");
    let method = value(parameters, "method");
    let error = match method {
        _ if tasks.is_locked(key) => Some(BANNED),
        _ if key_error(key).is_some() => key_error(key),
        "" => Some("ERROR_BAD_PARAMETERS"),
        "userrecaptcha" if value(parameters, "googlekey").is_empty() => Some("ERROR_GOOGLEKEY"),
        "userrecaptcha" if value(parameters, "pageurl").is_empty() => Some("ERROR_PAGEURL"),
        _ => None,
    };
    let result = match error {
        Some(code) => Err(code),
        None => {
            let nocache = Nocache::of(
                matches!(value(parameters, "nocache"), "1" | "true"),
                key_has_nocache(key),
            );
            Ok(tasks.create(method, nocache, value(parameters, "pageurl")).to_string())
        }
    };
    respond(parameters, result)
}

/// The price of any task, which `get2` says.
const PRICE: &str = "0.00299";

/// `res.php`: everything about tasks and accounts.
fn result(parameters: &Parameters, tasks: &mut Tasks) -> Response {
    let key = value(parameters, "key");
    if tasks.is_locked(key) {
        return respond(parameters, Err(BANNED));
    }
    if let Some(code) = key_error(key) {
        return respond(parameters, Err(code));
    }
    let id = id_of(value(parameters, "id"));
    let ids = value(parameters, "ids");
    let result = match value(parameters, "action") {
        "get" if !ids.is_empty() => {
            let results = ids
                .split(',')
                .map(|text| {
                    id_of(text)
                        .and_then(|id| solution(key, id, tasks))
                        .unwrap_or_else(str::to_owned)
                })
                .collect::<Vec<_>>()
                .join("|");
            match is_json(parameters) {
                true => Ok(results),
                false => return results.into_response(),
            }
        }
        "get" => id
            .inspect_err(|_| tasks.bans.note_wrong_id(key))
            .and_then(|id| solution(key, id, tasks)),
        "get2" => match id.and_then(|id| solution(key, id, tasks)) {
            Ok(text) if is_json(parameters) => {
                return json_response(&json!({ "status": 1, "request": text, "price": PRICE }));
            }
            result => result.map(|text| format!("{text}|{PRICE}")),
        },
        "getbalance" if is_json(parameters) => Ok("345.678".to_owned()),
        "getbalance" => return "345.678".into_response(),
        "reportbad" => report(id, tasks, "incorrect").map_err(|()| WRONG_ID),
        "reportgood" => report(id, tasks, "correct").map_err(|()| WRONG_ID),
        "" => Err("ERROR_EMPTY_ACTION"),
        _ => Err("ERROR_BAD_PARAMETERS"),
    };
    match result {
        Ok(text) if text == RECORDED && !is_json(parameters) => RECORDED.into_response(),
        result => respond(parameters, result),
    }
}

/// The vendor's error for a key that is locked.
const BANNED: &str = "IP_BANNED";
const RECORDED: &str = "OK_REPORT_RECORDED";
const WRONG_ID: &str = "ERROR_WRONG_CAPTCHA_ID";

fn id_of(text: &str) -> Result<u64, &'static str> {
    text.trim().parse().map_err(|_| "ERROR_WRONG_ID_FORMAT")
}

/// Polls for a solution as text.
fn solution(key: &str, id: u64, tasks: &mut Tasks) -> Result<String, &'static str> {
    let result = tasks.poll(key, id).map_err(|code| match code {
        tasks::WRONG_ID => WRONG_ID,
        code => code,
    });
    match result? {
        Solution::Processing => Err("CAPCHA_NOT_READY"),
        Solution::Token(token) => Ok(token),
        Solution::Text(text) => Ok(text.to_owned()),
    }
}

fn report(id: Result<u64, &'static str>, tasks: &mut Tasks, report: &'static str) -> Result<String, ()> {
    tasks.report(id.map_err(|_| ())?, report).map_err(|_| ())?;
    Ok(RECORDED.to_owned())
}

fn is_json(parameters: &Parameters) -> bool {
    value(parameters, "json") == "1"
}

fn respond(parameters: &Parameters, result: Result<String, &'static str>) -> Response {
    match (result, is_json(parameters)) {
        (Ok(text), true) => json_response(&json!({ "status": 1, "request": text })),
        (Err(code), true) => json_response(&json!({ "status": 0, "request": code })),
        (Ok(text), false) => format!("OK|{text}").into_response(),
        (Err(code), false) => code.into_response(),
    }
}
