//! The ledger, as JSON.

use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    exchange::{Refusal, form_value, json_response, json_text},
    service::Shown,
};
use crate::{
    observe::{
        ledger::{End, Task},
        time::rfc3339,
    },
    task::{Opinion, TaskId},
};

/// How many tasks are shown, unless `limit` says so.
const FEW: usize = 50;
const MOST: usize = 20_000;

/// How long sums are held.
const MOST_HOURS: u64 = 24;

/// A number in the query; `default` if there is none.
fn parameter(query: Option<&str>, name: &str, default: u64, most: u64) -> Result<u64, Refusal> {
    let Some(text) = form_value(query.unwrap_or_default().as_bytes(), name) else {
        return Ok(default);
    };
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| Refusal::bad_request(format!("{name} takes a whole number from 1 to {most}")))
}

/// With the ledger off there is nothing to show.
fn check_on(shown: &Shown) -> Result<(), Refusal> {
    match shown.gateway.observers().ledger.is_on() {
        true => Ok(()),
        false => Err(Refusal::not_found("there is no ledger: [ledger] max_tasks is 0")),
    }
}

/// `GET /api/stats?hours=24`: per site and arm.
pub async fn stats(State(shown): State<Shown>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    check_on(&shown)?;
    let hours = parameter(query.as_deref(), "hours", MOST_HOURS, MOST_HOURS)?;
    // With many sites it takes a while.
    let stats = tokio::task::spawn_blocking(move || shown.gateway.observers().ledger.stats(hours).to_json());
    let stats = stats
        .await
        .map_err(|_| Refusal(StatusCode::INTERNAL_SERVER_ERROR, "a bug in the gateway".to_owned()))?;
    Ok(json_text(stats))
}

/// `GET /api/tasks?limit=50`: the tasks that were created last.
pub async fn latest(State(shown): State<Shown>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    check_on(&shown)?;
    let limit = parameter(query.as_deref(), "limit", FEW as u64, MOST as u64)?;
    let tasks = shown.gateway.observers().ledger.latest(limit as usize);
    Ok(json_response(&tasks.iter().map(to_json).collect()))
}

/// `GET /api/tasks/{id}`: one task.
pub async fn task(State(shown): State<Shown>, Path(id): Path<String>) -> Result<Response, Refusal> {
    check_on(&shown)?;
    let task = TaskId::of(&id).and_then(|id| shown.gateway.observers().ledger.task(id));
    let task = task.ok_or_else(unknown)?;
    Ok(json_response(&to_json(&task)))
}

fn unknown() -> Refusal {
    Refusal::not_found("this task is not known: tasks are followed for 15 minutes from their creation")
}

/// `POST /api/feedback {"taskId": 7654321, "outcome": "good" | "bad"}`: what a site made of a token, from a bot that cannot
/// report to the vendor. Nothing of it is sent on.
pub async fn feedback(State(shown): State<Shown>, body: Bytes) -> Result<Response, Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Feedback {
        #[serde(rename = "taskId")]
        task_id: Value,
        outcome: String,
    }
    check_on(&shown)?;
    let wrong = || Refusal::bad_request(r#"expected {"taskId": 7654321, "outcome": "good"} or "bad""#);
    let feedback: Feedback = serde_json::from_slice(&body).map_err(|_| wrong())?;
    let id = match &feedback.task_id {
        Value::String(text) => TaskId::of(text),
        Value::Number(number) => TaskId::of(&number.to_string()),
        _ => None,
    };
    let (Some(id), Ok(opinion)) = (id, feedback.outcome.parse::<Opinion>()) else {
        return Err(wrong());
    };
    match shown.gateway.observers().ledger.report(id, opinion) {
        true => Ok(json_response(&json!({ "status": "success" }))),
        false => Err(unknown()),
    }
}

fn to_json(task: &Task) -> Value {
    let (site, nocache) = &task.arm;
    let (outcome, error, time) = match task.end {
        None => (None, None, None),
        Some(End::Solved(time)) => (Some("ready"), None, Some(time)),
        Some(End::Failed(code)) => (Some("error"), Some(code.name()), None),
    };
    json!({
        "taskId": task.id.number(),
        "created": rfc3339(task.created),
        "site": &**site,
        "captcha": task.captcha,
        "rule": task.rule.as_deref(),
        "nocache": nocache,
        "polls": task.polls,
        "outcome": outcome,
        "error": error,
        "solveMs": time,
        "reported": task.report.map(<&str>::from),
    })
}
