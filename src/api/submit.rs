//! A submission's path: held, read, decided, edited, sent on.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header, request::Parts, uri::PathAndQuery};
use tracing::info;

use super::{
    Gateway,
    error_response::{ErrorResponse, ResponseFormat},
    fields::{self, Framing},
    forward::{path_and_query, send_submission, upstream_request},
    held_body::{self, Decoded},
};
use crate::{
    rewrite::{self, Decision, Outcome, Plan},
    rules::RuleSet,
    submission::{self, Dialect, Part, Submission, Unread},
};

/// Holds a submission, decides about it, and sends it on with the edits that follow.
pub async fn submit(
    gateway: &Gateway,
    rules: &RuleSet,
    dialect: Dialect,
    mut format: ResponseFormat,
    head: Parts,
    mut body: Body,
) -> Response {
    let body = match held_body::hold(&mut body, &head.headers, &gateway.settings).await {
        Ok(held) => held,
        Err(refusal) => {
            held_body::discard(&head.headers, body);
            return format.render(&refusal);
        }
    };
    let decoded = match held_body::decode(&body, &head.headers, gateway.settings.body_limit).await {
        Ok(decoded) => decoded,
        Err(refusal) => return format.render(&refusal),
    };
    let target = path_and_query(&head.uri);
    let reading = read(dialect, rules, &target, &head, &decoded);
    if let Ok(submission) = &reading {
        format.wants_json = submission.wants_json;
    }
    let plan = rewrite::plan(&reading, rules);
    log(dialect, &reading, &plan.outcome);
    if plan.outcome.decision == Decision::Denied {
        return deny(gateway, format, &plan.outcome);
    }
    let decision = decision_field(gateway, &plan.outcome);
    let (target, body, framing) = match edited(&target, body, &decoded, &plan) {
        Ok(edited) => edited,
        Err(refusal) => return format.render(&refusal),
    };
    let request = upstream_request(gateway, head, target, Body::from(body), framing);
    send_submission(gateway, format, request, decision).await
}

fn read<'a>(
    dialect: Dialect,
    rules: &RuleSet,
    target: &'a PathAndQuery,
    head: &'a Parts,
    decoded: &'a Decoded,
) -> Result<Submission<'a>, Unread> {
    let body = decoded.body.as_ref().map_err(|unread| *unread)?;
    let mut types = head.headers.get_all(header::CONTENT_TYPE).iter();
    let request = submission::Request {
        target: target.as_str(),
        content_type: types.next().map(HeaderValue::as_bytes),
        body,
    };
    match types.next() {
        None => submission::read(dialect, request, rules.names()),
        // Two readers could use one each.
        Some(_) => Err(Unread::Ambiguous),
    }
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

/// The response to a denied submission. It is an API response, not a failure of HTTP: the vendor's SDKs throw on any
/// status but 200 before they read the code.
pub fn deny(gateway: &Gateway, format: ResponseFormat, outcome: &Outcome<'_>) -> Response {
    let response = match outcome.rule {
        Some(rule) => ErrorResponse::new(
            StatusCode::OK,
            "ERROR_DOMAIN_NOT_ALLOWED",
            format!("the rule \"{}\" denies this site", rule.id),
        ),
        None => ErrorResponse::new(
            StatusCode::OK,
            "ERROR_GATEWAY_UNREADABLE",
            "this request cannot be read without doubt, and a configuration that denies sites lets no such request pass \
             ([default] unreadable = \"forward\" changes that)",
        ),
    };
    fields::with_decision(format.render(&response), decision_field(gateway, outcome))
}

fn decision_field(gateway: &Gateway, outcome: &Outcome<'_>) -> Option<HeaderValue> {
    let is_on = gateway.settings.decision_header;
    is_on.then(|| HeaderValue::try_from(outcome.to_string()).ok()).flatten()
}

/// One line for each decision: no key, no query, nothing of the path.
fn log(dialect: Dialect, reading: &Result<Submission<'_>, Unread>, outcome: &Outcome<'_>) {
    let submission = reading.as_ref().ok();
    let [decision, _, via, rule, reason] = outcome.fields().map(|(_, value)| value);
    info!(
        decision,
        rule,
        via,
        reason,
        site = submission
            .and_then(|submission| Some(submission.site.as_ref().ok()?.host()))
            .map(tracing::field::display),
        captcha = submission
            .and_then(|submission| submission.captcha.as_ref())
            .map(tracing::field::display),
        method = match dialect {
            Dialect::CreateTask => "createTask",
            Dialect::Legacy => "in.php",
        },
        "submission"
    );
}
