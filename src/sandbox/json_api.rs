//! The JSON API (<https://docs.capmonster.cloud/docs/api/methods/create-task/> and its neighbours).

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::header;
use serde_json::{Value, json};

use super::{
    keys::{key_error, key_has_nocache},
    tasks::{Nocache, Solution, Tasks, UNSOLVABLE, WRONG_ID},
};

/// Task types that are accepted, in lowercase.
const SUPPORTED: [&str; 22] = [
    "recaptchav2task",
    "recaptchav2taskproxyless",
    "nocaptchatask",
    "nocaptchataskproxyless",
    "recaptchav2enterprisetask",
    "recaptchav2enterprisetaskproxyless",
    "recaptchav3task",
    "recaptchav3taskproxyless",
    "recaptchav3enterprisetask",
    "recaptchav3enterprisetaskproxyless",
    "turnstiletask",
    "turnstiletaskproxyless",
    "imagetotexttask",
    "compleximagetask",
    "recaptchaclicktask",
    "geetesttask",
    "geetesttaskproxyless",
    "funcaptchatask",
    "customtask",
    "amazontask",
    "hcaptchatask",
    "hcaptchataskproxyless",
];

/// The vendor's error for a key that is locked.
const BANNED: &str = "ERROR_IP_BANNED";

/// A value as a response.
pub fn json_response(value: &Value) -> Response {
    let fields = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    (fields, Body::from(value.to_string())).into_response()
}

/// The response to a call.
pub fn call(method: &str, body: &[u8], tasks: &mut Tasks) -> Value {
    let request: Value = match serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)) {
        Ok(request) => request,
        // What the vendor says of JSON that is invalid.
        Err(_) => return error("ERROR_TASK_ABSENT"),
    };
    let key = member(&request, "clientKey").as_str().unwrap_or("");
    let error_of_key = match tasks.is_locked(key) {
        true => Some(BANNED),
        false => key_error(key),
    };
    let result = match (method, error_of_key) {
        (_, Some(code)) => Err(code),
        ("createtask", _) => create(&request, key, tasks).map(|id| json!({ "errorId": 0, "taskId": id })),
        ("gettaskresult", _) => result(&request, key, tasks),
        ("getbalance", _) => Ok(json!({ "errorId": 0, "balance": 345.678 })),
        ("reportincorrectimagecaptcha" | "reportincorrecttokencaptcha" | "reportincorrectrecaptcha", _) => {
            task_id(&request)
                .and_then(|id| tasks.report(id, "incorrect"))
                .map(|()| json!({ "errorId": 0, "status": "success" }))
        }
        _ => Err("ERROR_NO_SUCH_METHOD"),
    };
    result.unwrap_or_else(error)
}

fn create(request: &Value, key: &str, tasks: &mut Tasks) -> Result<u64, &'static str> {
    let task = member(request, "task");
    if !task.is_object() {
        return Err("ERROR_TASK_ABSENT");
    }
    let kind = member(task, "type").as_str().unwrap_or("");
    if !SUPPORTED.contains(&kind.to_ascii_lowercase().as_str()) {
        return Err("ERROR_TASK_NOT_SUPPORTED");
    }
    let nocache = match member(task, "nocache") {
        Value::Bool(on) => *on,
        Value::Number(number) => number.as_i64() == Some(1),
        Value::String(text) => matches!(text.as_str(), "true" | "1"),
        _ => false,
    };
    let page = member(task, "websiteURL").as_str().unwrap_or_default();
    Ok(tasks.create(kind, Nocache::of(nocache, key_has_nocache(key)), page))
}

fn result(request: &Value, key: &str, tasks: &mut Tasks) -> Result<Value, &'static str> {
    let id = task_id(request).inspect_err(|_| tasks.bans.note_wrong_id(key))?;
    Ok(match tasks.poll(key, id)? {
        Solution::Processing => {
            json!({ "errorId": 0, "errorCode": null, "errorDescription": null, "status": "processing" })
        }
        Solution::Token(token) => {
            json!({ "errorId": 0, "errorCode": null, "errorDescription": null, "status": "ready", "solution": { "gRecaptchaResponse": token } })
        }
        Solution::Text(text) => {
            json!({ "errorId": 0, "errorCode": null, "errorDescription": null, "status": "ready", "solution": { "text": text } })
        }
    })
}

/// Some clients send the id as a string.
fn task_id(request: &Value) -> Result<u64, &'static str> {
    let id = member(request, "taskId");
    id.as_u64().or_else(|| id.as_str()?.parse().ok()).ok_or(WRONG_ID)
}

/// A member by name, case-insensitively; null if it is absent.
fn member<'v>(value: &'v Value, name: &str) -> &'v Value {
    value
        .as_object()
        .and_then(|object| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)))
        .map_or(&Value::Null, |(_, value)| value)
}

fn error(code: &str) -> Value {
    let description = match code {
        "ERROR_KEY_DOES_NOT_EXIST" => "Account authorization key not found in the system or has incorrect format",
        BANNED => "The key is locked for 10 minutes",
        "ERROR_ZERO_BALANCE" => "Account has zero balance",
        "ERROR_TASK_ABSENT" => "The task object is missing or the JSON is invalid",
        "ERROR_TASK_NOT_SUPPORTED" => "This task type is not supported",
        UNSOLVABLE => "The captcha could not be solved",
        WRONG_ID => "There is no such task",
        _ => "There is no such method",
    };
    json!({ "errorId": 1, "errorCode": code, "errorDescription": format!("sandbox: {description}"), "taskId": 0 })
}
