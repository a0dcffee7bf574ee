//! Polls, where they would earn the vendor's ban: it locks a key for 10 minutes if a task is polled more than 120 times, or
//! more often than every 2 seconds (<https://docs.capmonster.cloud/docs/api/methods/get-task-result/>), and for ids that are
//! none. By default the gateway only warns; what it answers itself instead, it says in the field [`GUARD`].

use std::time::Instant;

use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::{Either, Full};

use super::{Gateway, Response, error_response::ErrorResponse, recording::Recording};
use crate::{
    observe::{Cause, Fault, clients::Habit, ledger::Pace, record::Guarded},
    task::Call,
};

/// The field that says why the gateway answered a poll itself.
pub const GUARD: HeaderName = HeaderName::from_static("x-nocache-gateway-guard");

/// The field that names what a client does, in the words of the log's warnings.
pub const WARNING: HeaderName = HeaderName::from_static("x-nocache-gateway-warning");

/// What happens to polls that would earn a ban.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum PollGuard {
    /// They are warned of.
    #[default]
    Warn,
    /// They are warned of, and those that come too early are answered by the gateway: not ready yet.
    Pace,
    /// Nothing.
    Off,
}

/// What a poll of a task that was created in the last minutes gets while the upstream cannot be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
pub enum Outage {
    /// An error. Some clients read 503 as "still working"; most give up, and with them the paid task.
    #[strum(serialize = "503")]
    Error,
    /// That the task is not ready yet: it is paid for, and every client asks again.
    #[default]
    #[strum(serialize = "processing")]
    Processing,
}

/// How polls are guarded.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What happens to polls that would earn a ban.
    pub polls: PollGuard,
    /// What a poll gets during an outage.
    pub outage: Outage,
    /// Whether responses to clients that risk a ban, or misuse nocache, carry [`WARNING`].
    pub warning_header: bool,
}

/// The gateway's own response to a poll of what cannot be a task. `id` is what it names as its task, as written, if that is no
/// number.
pub fn refuse_wrong_id(gateway: &Gateway, id: Option<&str>, recording: &mut Recording) -> Option<Response> {
    if !is_guarded_poll(gateway, recording) {
        return None;
    }
    let id = id.filter(|id| cannot_be_one(id))?;
    recording.record.guarded = Some(Guarded::WrongId);
    let what = if id.is_empty() { "empty" } else { "an error code" };
    let refusal = ErrorResponse::denial(
        "ERROR_WRONG_ID_FORMAT",
        format!("the task id is {what}; the vendor locks keys for such polls, so nothing was sent on"),
    );
    Some(said(recording.refuse(&refusal), "wrong-id"))
}

/// Counts a poll that is about to be sent, at the time `now`; or the gateway's own response to it, if it comes too early.
pub fn pace(gateway: &Gateway, now: Instant, recording: &mut Recording) -> Option<Response> {
    if !is_guarded_poll(gateway, recording) {
        return None;
    }
    let is_paced = gateway.settings.guard.polls == PollGuard::Pace;
    let (polled, pace) = gateway
        .observers
        .ledger
        .poll_begins(now, recording.record.task?, is_paced);
    recording.record.polled = polled;
    match pace {
        Pace::Send => None,
        Pace::Wait => {
            recording.record.guarded = Some(Guarded::Paced);
            Some(said(not_ready(recording), "paced"))
        }
    }
}

fn is_guarded_poll(gateway: &Gateway, recording: &Recording) -> bool {
    recording.record.call == Some(Call::Poll) && gateway.settings.guard.polls != PollGuard::Off
}

/// The response to a poll that failed at the upstream, if the configuration has one for a task that was created in the last
/// minutes.
pub fn outage(gateway: &Gateway, recording: &mut Recording) -> Option<Response> {
    let record = &recording.record;
    // A gateway that stops is mostly started again.
    let is_passing = record
        .cause
        .is_some_and(|cause| cause.fault() == Fault::Upstream || cause == Cause::Stopped);
    let is_wanted = gateway.settings.guard.outage == Outage::Processing && record.call == Some(Call::Poll);
    let task = record.task.filter(|_| is_wanted && is_passing)?;
    if !gateway.observers.ledger.is_recent(task) {
        return None;
    }
    recording.record.guarded = Some(Guarded::Outage);
    Some(said(not_ready(recording), "outage"))
}

/// Adds what a client does to its response, if that is wanted.
pub fn warn(gateway: &Gateway, recording: &Recording, response: &mut Response) {
    if !gateway.settings.guard.warning_header {
        return;
    }
    let record = &recording.record;
    let habit = record
        .polled
        .and_then(Habit::of_polls)
        .or(record.lint.map(Habit::Mistake));
    if let Some(habit) = habit {
        response
            .headers_mut()
            .insert(WARNING, HeaderValue::from_static(habit.name()));
    }
}

/// Whether an id cannot be a task's: none, or the code of an error that a client took for one.
fn cannot_be_one(id: &str) -> bool {
    id.is_empty() || id.starts_with("ERROR")
}

/// What the vendor responds while it works on a task.
fn not_ready(recording: &Recording) -> Response {
    const PROCESSING: &str = r#"{"errorId":0,"status":"processing"}"#;
    let mut response = recording.format.render(&ErrorResponse::denial("CAPCHA_NOT_READY", ""));
    if recording.format.is_json_api() {
        *response.body_mut() = Either::Left(Full::from(PROCESSING));
    }
    *response.status_mut() = StatusCode::OK;
    response
}

fn said(mut response: Response, why: &'static str) -> Response {
    response.headers_mut().insert(GUARD, HeaderValue::from_static(why));
    response
}
