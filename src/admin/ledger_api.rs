//! The ledger, as JSON.

use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    exchange::{Refusal, SmallBody, form_value, json_response, json_text},
    service::Shown,
};
use crate::{
    observe::{
        ledger::{End, Offset, Task},
        time::rfc3339,
    },
    task::{Opinion, TaskId},
};

/// How many tasks are shown, unless `limit` says so.
const FEW: usize = 50;
/// How many hours are added up, unless `hours` says so.
const A_DAY: u64 = 24;
const MOST: usize = 20_000;

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

/// Work that takes longer than a thread that serves may.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    let result = tokio::task::spawn_blocking(work).await;
    result.map_err(|_| Refusal(StatusCode::INTERNAL_SERVER_ERROR, "a bug in the gateway".to_owned()))
}

/// `GET /api/stats?hours=24`: per site and arm.
pub async fn stats(State(shown): State<Shown>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    check_on(&shown)?;
    let ledger = shown.gateway.observers().ledger.clone();
    let most = ledger.max_hours();
    let hours = parameter(query.as_deref(), "hours", A_DAY, most).map_err(|refusal| match ledger.file() {
        Some(_) => refusal,
        None => refusal.and("with a file, [ledger] file, it keeps 30 days"),
    })?;
    // With many sites it takes a while.
    let stats = off_thread(move || ledger.stats(hours).map(|stats| stats.to_json())).await?;
    let stats = stats.map_err(|error| Refusal(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    Ok(json_text(stats))
}

/// `GET /api/tasks?limit=50`: the tasks that were created last.
pub async fn latest(State(shown): State<Shown>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    check_on(&shown)?;
    let limit = parameter(query.as_deref(), "limit", FEW as u64, MOST as u64)?;
    // Of many tasks it takes a while.
    off_thread(move || {
        let ledger = &shown.gateway.observers().ledger;
        let (tasks, offset) = (ledger.latest(limit as usize), ledger.offset());
        let tasks: Vec<String> = tasks.iter().map(|task| to_json(task, offset).to_string()).collect();
        format!("[{}]", tasks.join(","))
    })
    .await
    .map(json_text)
}

/// `GET /api/tasks/{id}`: one task.
pub async fn task(State(shown): State<Shown>, Path(id): Path<String>) -> Result<Response, Refusal> {
    check_on(&shown)?;
    let ledger = &shown.gateway.observers().ledger;
    let task = TaskId::of(&id).and_then(|id| ledger.task(id)).ok_or_else(unknown)?;
    Ok(json_response(&to_json(&task, ledger.offset())))
}

fn unknown() -> Refusal {
    Refusal::not_found("this task is not known: tasks are followed for 15 minutes from their creation")
}

/// `POST /api/feedback {"taskId": 7654321, "outcome": "good" | "bad"}`: what a site made of a token, from a bot that cannot
/// report to the vendor. Nothing of it is sent on.
pub async fn feedback(State(shown): State<Shown>, SmallBody(body): SmallBody) -> Result<Response, Refusal> {
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

fn to_json(task: &Task, offset: Offset) -> Value {
    let (site, nocache) = &task.arm;
    let (outcome, error, time) = match task.end {
        None => (None, None, None),
        Some(End::Solved(time)) => (Some("ready"), None, Some(time)),
        Some(End::Failed(code)) => (Some("error"), Some(code.name()), None),
    };
    json!({
        "taskId": task.id.number(),
        "created": rfc3339(offset.time_of_day(task.created)),
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
