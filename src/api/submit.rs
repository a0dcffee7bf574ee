//! A submission's path: held until its body is there, judged, sent on.

use std::panic::{self, AssertUnwindSafe};

use http::{HeaderValue, header, request::Parts};

use super::{
    Gateway, Response,
    budget::SMALL,
    error_response::ErrorResponse,
    fields,
    forward::{as_sent, path_and_query, send_submission, upstream_request},
    held_body::{HeldBody, too_large},
    judge::{Case, Facts, Judged, Verdict, denial},
    recording::Recording,
};
use crate::{
    observe::record::Decided,
    rewrite::Plan,
    submission::{self, Dialect, Wishes, plain_shape::Doubt},
    upstream::Outgoing,
};

/// Holds a submission, judges it, and sends it on with the edits that follow.
pub async fn submit(
    gateway: &Gateway,
    dialect: Dialect,
    head: Box<Parts>,
    body: &mut HeldBody,
    recording: &mut Recording,
) -> Result<Response, ErrorResponse> {
    match hold(gateway, dialect, &head, body, recording).await {
        Ok(Held::Whole) => {}
        Ok(Held::Beginning(facts)) => return Ok(Box::pin(stream(gateway, head, body, facts, recording)).await),
        Err(refusal) => {
            if dialect == Dialect::Legacy {
                recording.format.set_wishes(wishes(&head, body));
            }
            return Err(refusal);
        }
    }
    let (bytes, charge) = body.take_bytes();
    let case = Case {
        dialect,
        head,
        body: bytes,
        charge,
        // Only now: a body may take long to arrive, and a site that was denied meanwhile is denied.
        rules: gateway.rules(),
        limit: gateway.settings.body_limit,
    };
    let judged = match case.takes_long() {
        false => caught(|| case.judge()),
        true => Box::pin(judge_elsewhere(gateway, case)).await,
    };
    let Judged { head, facts, verdict } = judged?;
    let decision = note(gateway, facts, recording);
    match verdict {
        Verdict::Respond(response) => Ok(fields::with_decision(recording.refuse(&response), decision)),
        Verdict::Send { target, body, framing } => {
            let request = upstream_request(gateway, head, target, Outgoing::whole(body, None), framing);
            Ok(send_submission(gateway, request, decision, recording).await)
        }
    }
}

/// How much of a body is held.
enum Held {
    /// All of it.
    Whole,
    /// Its beginning, which decides what becomes of it.
    Beginning(Box<Facts>),
}

/// Waits until the body is there, or as much of it as decides, and takes a place.
async fn hold(
    gateway: &Gateway,
    dialect: Dialect,
    head: &Parts,
    body: &mut HeldBody,
    recording: &mut Recording,
) -> Result<Held, ErrorResponse> {
    let limit = gateway.settings.body_limit;
    let arrived = &mut recording.record.bytes_in;
    let begun = match dialect {
        Dialect::CreateTask if body.is_over(limit) => Ok(()),
        // A legacy client may say there how it wants its response, a refusal too.
        Dialect::CreateTask | Dialect::Legacy => body.begin(arrived).await,
    };
    if body.is_over(limit) {
        return Err(too_large(limit));
    }
    begun?;
    if body.is_whole() {
        recording.place = Some(gateway.places.take()?);
        return Ok(Held::Whole);
    }
    let place = recording.place.insert(gateway.places.take_arriving()?);
    if body.is_announced() {
        body.read(SMALL, arrived).await?;
        let facts = caught(|| Facts::of_beginning(dialect, head, beginning(body), &gateway.rules()))?;
        if let Some(facts) = facts {
            body.charge_buffers()?;
            return Ok(Held::Beginning(Box::new(facts)));
        }
    }
    body.read(limit, arrived).await?;
    if body.is_over(limit) {
        return Err(too_large(limit));
    }
    drop(place.arriving());
    Ok(Held::Whole)
}

/// Sends a submission on while its body arrives.
async fn stream(
    gateway: &Gateway,
    head: Box<Parts>,
    body: &mut HeldBody,
    facts: Box<Facts>,
    recording: &mut Recording,
) -> Response {
    let decision = note(gateway, *facts, recording);
    let target = path_and_query(&head.uri);
    let request = as_sent(gateway, head, target, body, recording);
    send_submission(gateway, request, decision, recording).await
}

/// Reads on a thread that serves. A panic is a bug, and has a response like that of the other threads.
fn caught<T>(read: impl FnOnce() -> T) -> Result<T, ErrorResponse> {
    panic::catch_unwind(AssertUnwindSafe(read)).map_err(|_| ErrorResponse::internal())
}

/// As much of a body as can be read on a thread that serves.
fn beginning(body: &HeldBody) -> &[u8] {
    &body.so_far()[..body.so_far().len().min(SMALL)]
}

/// How a legacy client wants its responses, as far as its request has been read.
fn wishes(head: &Parts, body: &HeldBody) -> Wishes {
    let target = path_and_query(&head.uri);
    Wishes::of(&submission::Request {
        target: target.as_str(),
        content_type: head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes),
        body: beginning(body),
    })
}

/// Judges a submission on a thread that does not serve; and not more of them at once than there are such threads, so that
/// those that serve get their turn.
async fn judge_elsewhere(gateway: &Gateway, case: Case) -> Result<Judged, ErrorResponse> {
    // The semaphore is never closed.
    let permit = gateway.judges.clone().acquire_owned().await;
    let judged = tokio::task::spawn_blocking(move || {
        let judged = case.judge();
        drop(permit);
        judged
    });
    judged.await.map_err(|_| ErrorResponse::internal())
}

/// The response to a request that is not read where sites are denied: it is not known to be harmless.
pub fn deny_unread(gateway: &Gateway, doubt: Doubt, recording: &mut Recording) -> Response {
    let plan = Plan::refused(doubt);
    let facts = Facts {
        decided: Some((Decided::from(&plan), plan.outcome.text())),
        ..Facts::default()
    };
    let decision = note(gateway, facts, recording);
    fields::with_decision(recording.refuse(&denial(&plan)), decision)
}

/// Records what is known about a submission. Returns the value of the response's field, if it gets one.
fn note(gateway: &Gateway, facts: Facts, recording: &mut Recording) -> Option<HeaderValue> {
    let record = &mut recording.record;
    record.captcha = facts.captcha;
    record.site = facts.site;
    record.nocache = facts.nocache;
    record.lint = facts.lint;
    record.key = facts.key;
    if let Some(wishes) = facts.wishes {
        recording.format.set_wishes(wishes);
    }
    let (decided, mut field) = facts.decided?;
    record.decided = Some(decided);
    if !gateway.settings.decision_header {
        return None;
    }
    if gateway.settings.request_id {
        field += &format!(";id={}", record.id);
    }
    HeaderValue::try_from(field).ok()
}
