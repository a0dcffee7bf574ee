//! A submission's path: held, read, decided, edited, sent on.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header, request::Parts, uri::PathAndQuery};

use super::{
    Gateway,
    error_response::{ErrorResponse, ResponseFormat},
    fields::{self, Framing},
    forward::{path_and_query, send_submission, upstream_request},
    held_body::{self, Decoded},
    recording::Recording,
};
use crate::{
    observe::Cause,
    rewrite::{self, Decision, Plan},
    rules::RuleSet,
    submission::{self, Dialect, Part, Submission, Unread, multipart},
};

/// Holds a submission, decides about it, and sends it on with the edits that follow.
pub async fn submit(
    gateway: &Gateway,
    dialect: Dialect,
    mut format: ResponseFormat,
    head: Parts,
    mut body: Body,
    recording: &mut Recording,
) -> Response {
    let body = match held_body::hold(&mut body, &head.headers, &gateway.settings).await {
        Ok(held) => held,
        Err(refusal) => return recording.refuse(format, &refusal),
    };
    let decoded = match held_body::decode(&body, &head.headers, gateway.settings.body_limit).await {
        Ok(decoded) => decoded,
        Err(refusal) => return recording.refuse(format, &refusal),
    };
    // Only now: a body may take long to arrive, and a site that was denied meanwhile is denied.
    let rules = &gateway.rules();
    let target = path_and_query(&head.uri);
    let reading = read(dialect, rules, &target, &head, &decoded);
    if let Ok(submission) = &reading {
        format.wants_json = submission.wants_json;
        recording.record.captcha.clone_from(&submission.captcha);
        recording.record.site = submission.site.as_ref().ok().map(|site| site.host().clone());
    }
    let plan = rewrite::plan(&reading, rules);
    if plan.outcome.decision == Decision::Denied {
        return deny(gateway, format, &plan, recording);
    }
    let decision = decide(gateway, &plan, recording);
    let (target, body, framing) = match edited(&target, body, &decoded, &plan) {
        Ok(edited) => edited,
        Err(refusal) => return recording.refuse(format, &refusal),
    };
    let request = upstream_request(gateway, head, target, Body::from(body), framing);
    send_submission(gateway, format, request, decision, recording).await
}

fn read<'a>(
    dialect: Dialect,
    rules: &RuleSet,
    target: &'a PathAndQuery,
    head: &'a Parts,
    decoded: &'a Decoded,
) -> Result<Submission<'a>, Unread> {
    let body = decoded.body.as_ref().map_err(|unread| *unread)?;
    let types: Vec<&[u8]> = head
        .headers
        .get_all(header::CONTENT_TYPE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let content_type = match dialect {
        // Only a boundary is taken from a type, and only for a body.
        Dialect::Legacy if !body.is_empty() => multipart::content_type(&types)?,
        Dialect::Legacy | Dialect::CreateTask => None,
    };
    let request = submission::Request {
        target: target.as_str(),
        content_type,
        body,
    };
    let mut submission = submission::read(dialect, request, rules.names())?;
    // Another reader could use the other one.
    submission.has_other_reading |= types.len() > 1;
    Ok(submission)
}

/// Target and body as they are sent upstream.
fn edited(
    target: &PathAndQuery,
    body: Bytes,
    decoded: &Decoded,
    plan: &Plan<'_>,
) -> Result<(PathAndQuery, Bytes, Framing), ErrorResponse> {
    let touches = |part| plan.edits.iter().any(|edit| edit.part == part);
    let target = if touches(Part::Target) {
        let bytes = rewrite::apply(target.as_str().as_bytes(), Part::Target, &plan.edits);
        PathAndQuery::try_from(bytes).map_err(|_| {
            ErrorResponse::new(
                StatusCode::URI_TOO_LONG,
                "ERROR_GATEWAY_TARGET_TOO_LONG",
                Cause::TargetTooLong,
                "the request target is too long to take one more parameter",
            )
        })?
    } else {
        target.clone()
    };
    match decoded.body.as_ref().ok().filter(|_| touches(Part::Body)) {
        None => {
            let framing = Framing::Buffered(body.len());
            Ok((target, body, framing))
        }
        Some(readable) => {
            let body = Bytes::from(rewrite::apply(readable, Part::Body, &plan.edits));
            let framing = Framing::Edited {
                length: body.len(),
                was_coded: decoded.was_coded,
            };
            Ok((target, body, framing))
        }
    }
}

/// The response to a denied submission.
pub fn deny(gateway: &Gateway, format: ResponseFormat, plan: &Plan<'_>, recording: &mut Recording) -> Response {
    let response = match plan.outcome.rule {
        Some(rule) => ErrorResponse::denial(
            "ERROR_DOMAIN_NOT_ALLOWED",
            format!("the rule \"{}\" denies this site", rule.id),
        ),
        None => ErrorResponse::denial(
            "ERROR_GATEWAY_UNREADABLE",
            "this request is malformed or ambiguous; because a rule denies sites, such requests are refused \
             ([default] unreadable = \"forward\" lets them through)",
        ),
    };
    let decision = decide(gateway, plan, recording);
    fields::with_decision(format.render(&response), decision)
}

/// Records a decision. Returns the value of the response's field, if it gets one.
fn decide(gateway: &Gateway, plan: &Plan<'_>, recording: &mut Recording) -> Option<HeaderValue> {
    let record = &mut recording.record;
    record.decided = Some(plan.into());
    if !gateway.settings.decision_header {
        return None;
    }
    let mut field = plan.outcome.to_string();
    if gateway.settings.request_id {
        field += &format!(";id={}", record.id);
    }
    HeaderValue::try_from(field).ok()
}
