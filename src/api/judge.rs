//! What becomes of a submission whose body is there: decoded, read, decided, edited. There is nothing to wait for, but a
//! large body takes a while; up to three copies of it are held on the way, and one is left.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts, uri::PathAndQuery};

use super::{
    budget::{Charge, OverBudget, SMALL},
    content_coding::{self, Coded, DecodeError},
    error_response::ErrorResponse,
    fields::Framing,
    forward::path_and_query,
    held_body::{over_budget, too_large},
};
use crate::{
    observe::{Cause, clients::key_hash, record::Decided},
    rewrite::{self, Decision, Plan},
    rules::{RuleSet, Unreadable},
    submission::{
        self, Captcha, Dialect, Host, Part, Submission, Unread, Wishes, key_suffix,
        lint::{Lint, lint},
        multipart,
        plain_shape::Sent,
    },
};

/// A submission whose body is there.
pub struct Case {
    pub dialect: Dialect,
    pub head: Box<Parts>,
    pub body: Bytes,
    /// What the body uses of the budget.
    pub charge: Charge,
    pub rules: Arc<RuleSet>,
    /// The largest body, decoded or not.
    pub limit: usize,
}

/// What became of it.
pub struct Judged {
    pub head: Box<Parts>,
    pub facts: Facts,
    pub verdict: Verdict,
}

/// What is known about a submission, for its record and its response.
#[derive(Default)]
pub struct Facts {
    pub captcha: Option<Captcha>,
    pub site: Option<Host>,
    /// Whether nocache is on in what is sent upstream, if that is known.
    pub nocache: Option<bool>,
    /// A mistake that the client makes with nocache.
    pub lint: Option<Lint>,
    /// A hash of the API key.
    pub key: Option<u64>,
    /// How a legacy client wants its responses.
    pub wishes: Option<Wishes>,
    /// What was decided, and how the client is told; `None` if the submission is refused before.
    pub decided: Option<(Decided, String)>,
}

/// What is done with it.
pub enum Verdict {
    /// It is sent on.
    Send {
        target: PathAndQuery,
        body: Bytes,
        framing: Framing,
    },
    /// It gets a response of the gateway's own.
    Respond(ErrorResponse),
}

impl Case {
    /// Whether it takes so long that it must not be done on a thread that serves. A small body can be decoded to a large one.
    pub fn takes_long(&self) -> bool {
        self.body.len() > SMALL || matches!(Coded::of(&self.head.headers), Coded::As(_)) && !self.body.is_empty()
    }

    /// Judges it.
    pub fn judge(self) -> Judged {
        let mut facts = Facts::default();
        let target = path_and_query(&self.head.uri);
        let verdict = verdict(
            (self.dialect, &target, &self.head),
            self.body,
            self.charge,
            &self.rules,
            self.limit,
            &mut facts,
        );
        Judged {
            head: self.head,
            facts,
            verdict: verdict.unwrap_or_else(Verdict::Respond),
        }
    }
}

fn verdict(
    request: (Dialect, &PathAndQuery, &Parts),
    body: Bytes,
    mut charge: Charge,
    rules: &RuleSet,
    limit: usize,
    facts: &mut Facts,
) -> Result<Verdict, ErrorResponse> {
    let (dialect, target, head) = request;
    charge.begin_form();
    let decoded = decode(&body, &head.headers, limit, &mut charge)?;
    let reading = read(dialect, rules, target, head, &decoded, facts);
    let plan = rewrite::plan(&reading, rules);
    if plan.outcome.decision == Decision::Denied {
        facts.decide(&plan);
        return Ok(Verdict::Respond(denial(&plan)));
    }
    facts.nocache = rewrite::nocache_as_sent(&plan, &reading);
    let touches = |part| plan.edits.iter().any(|edit| edit.part == part);
    let new_target = match touches(Part::Target) {
        true => longer_target(target, &plan)?,
        false => target.clone(),
    };
    // Where sites are denied, what was read is what is sent: another decoder could find something else.
    let is_sent_decoded = decoded.was_coded && rules.unreadable() == Unreadable::Deny;
    let (body, framing) = match &decoded.body {
        Ok(readable) if touches(Part::Body) => {
            charge.begin_form();
            charge.add(readable.len()).map_err(|OverBudget| over_budget())?;
            let edited = Bytes::from(rewrite::apply(readable, Part::Body, &plan.edits));
            (edited, true)
        }
        Ok(readable) if is_sent_decoded => (readable.clone(), true),
        _ => (body, false),
    };
    let length = body.len();
    let framing = match framing {
        true => Framing::Edited {
            length,
            was_coded: decoded.was_coded,
        },
        false => Framing::Buffered(length),
    };
    facts.decide(&plan);
    charge.keep(length);
    Ok(Verdict::Send {
        target: new_target,
        body: charge.of(body),
        framing,
    })
}

impl Facts {
    /// What is known of a createTask submission by the beginning of its body, if that decides already: it is passed on as it
    /// arrives.
    pub fn of_beginning(dialect: Dialect, head: &Parts, beginning: &[u8], rules: &RuleSet) -> Option<Self> {
        if !matches!(Coded::of(&head.headers), Coded::Plain) {
            return None;
        }
        let submission = rewrite::read_beginning(dialect, beginning, rules)?;
        let mut facts = Self::default();
        facts.note(&submission);
        // What is missing may stand behind the beginning.
        let plan = Plan {
            flaw: None,
            ..rewrite::plan(&Ok(submission), rules)
        };
        facts.decide(&plan);
        Some(facts)
    }

    fn note(&mut self, submission: &Submission<'_>) {
        self.captcha.clone_from(&submission.captcha);
        self.lint = lint(submission);
        self.key = submission.key.and_then(|at| {
            let (list, key) = submission.parameter(at);
            Some(key_hash(&list.source[key_suffix::written(list, key)?]))
        });
        self.site = submission.site.as_ref().ok().map(|site| site.host().clone());
    }

    fn decide(&mut self, plan: &Plan<'_>) {
        self.decided = Some((plan.into(), plan.outcome.text()));
    }
}

/// A body without its content coding.
struct Decoded {
    /// The decoded body, or the reason why it cannot be read.
    body: Result<Bytes, Unread>,
    /// Whether the body had a content coding.
    was_coded: bool,
}

fn decode(body: &Bytes, fields: &HeaderMap, limit: usize, charge: &mut Charge) -> Result<Decoded, ErrorResponse> {
    let (body, was_coded) = match Coded::of(fields) {
        _ if body.is_empty() => (Ok(body.clone()), false),
        Coded::Plain => (Ok(body.clone()), false),
        Coded::Unknown => (Err(Unread::EncodingUnknown), true),
        Coded::As(coding) => match content_coding::decode(body, coding, limit, charge) {
            Ok(body) => (Ok(body), true),
            Err(DecodeError::TooLarge) => return Err(too_large(limit)),
            Err(DecodeError::OverBudget) => return Err(over_budget()),
            Err(DecodeError::Broken) => (Err(Unread::Unreadable), true),
        },
    };
    Ok(Decoded { body, was_coded })
}

fn read<'a>(
    dialect: Dialect,
    rules: &RuleSet,
    target: &'a PathAndQuery,
    head: &'a Parts,
    decoded: &'a Decoded,
    facts: &mut Facts,
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
    let sent = Sent {
        method: head.method.as_str(),
        content_types: &types,
    };
    let reading = rewrite::read(dialect, request, &sent, rules);
    facts.wishes = match &reading {
        Ok(submission) => Some(submission.wishes),
        Err(_) if dialect == Dialect::Legacy => Some(Wishes::of(&request)),
        Err(_) => None,
    };
    let submission = reading?;
    facts.note(&submission);
    Ok(submission)
}

fn longer_target(target: &PathAndQuery, plan: &Plan<'_>) -> Result<PathAndQuery, ErrorResponse> {
    let bytes = rewrite::apply(target.as_str().as_bytes(), Part::Target, &plan.edits);
    PathAndQuery::try_from(bytes).map_err(|_| {
        ErrorResponse::new(
            StatusCode::URI_TOO_LONG,
            "ERROR_GATEWAY_TARGET_TOO_LONG",
            Cause::TargetTooLong,
            "the request target is too long to take one more parameter",
        )
    })
}

/// The response to a denied submission.
pub fn denial(plan: &Plan<'_>) -> ErrorResponse {
    match plan.outcome.rule {
        Some(rule) => ErrorResponse::denial(
            "ERROR_DOMAIN_NOT_ALLOWED",
            format!("the rule \"{}\" denies this site", rule.id),
        ),
        None => ErrorResponse::denial(
            "ERROR_GATEWAY_UNREADABLE",
            "this request is malformed or ambiguous; because a rule denies sites, such requests are refused \
             ([default] unreadable = \"forward\" lets them through)",
        ),
    }
}
