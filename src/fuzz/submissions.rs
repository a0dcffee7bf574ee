//! The rewriting law, for any request.

use http::uri::PathAndQuery;
use serde_json::Value;

use crate::{
    rewrite::{self, Decision, Edits, Plan, Reason, edit::revert},
    rules::{Action, Rule, RuleSet, Via},
    submission::{CaptchaNames, Dialect, Part, Request, create_task, plain_shape::Sent},
};

/// A `createTask`: a byte that chooses the rules, and the body.
pub fn create_task(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else {
        return;
    };
    let request = Request {
        target: "/createTask",
        content_type: None,
        body,
    };
    let edits = law(Dialect::CreateTask, request, &rules(*choice));
    let result = rewrite::apply(body, Part::Body, &edits);
    // Another reader that reads the original reads the result, and finds nothing else changed.
    if let Some(before) = without_nocache(body) {
        assert_eq!(without_nocache(&result), Some(before));
    }
    let names = CaptchaNames::default();
    for beginning in [body, &body[..body.len() / 2]] {
        if let Some(beginning) = create_task::read_beginning(beginning, &names)
            && let Ok(whole) = create_task::read(request, &names)
        {
            assert_eq!(beginning.captcha, whole.captcha);
        }
    }
}

/// A request to `in.php`: a byte that chooses the rules, a line with the target, one with the Content-Type, and the body.
pub fn legacy(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    let mut lines = rest.splitn(3, |byte| *byte == b'\n');
    let (Some(target), Some(content_type), Some(body)) = (lines.next(), lines.next(), lines.next()) else {
        return;
    };
    let Ok(target) = PathAndQuery::try_from(target) else {
        return;
    };
    let request = Request {
        target: target.as_str(),
        content_type: Some(content_type).filter(|text| !text.is_empty()),
        body,
    };
    let edits = law(Dialect::Legacy, request, &rules(*choice));
    let result = rewrite::apply(target.as_str().as_bytes(), Part::Target, &edits);
    let result = PathAndQuery::try_from(result).expect("an edited target is one");
    assert_eq!(result.path(), target.path());
}

/// One rule for every site.
fn rules(choice: u8) -> RuleSet {
    const ACTIONS: [Action; 5] = [Action::Add, Action::Force, Action::Strip, Action::Keep, Action::Deny];
    let action = ACTIONS[usize::from(choice) % ACTIONS.len()];
    let via = if choice < 128 { Via::Parameter } else { Via::Key };
    let rule = Rule {
        id: "fuzz".into(),
        sites: vec!["*".parse().unwrap()],
        captchas: action.default_captchas(),
        action,
        via,
        line: None,
    };
    RuleSet::new(vec![rule], Rule::built_in_default(), None, CaptchaNames::default())
}

/// The law: edits are made if and only if something was set or removed; taken out again they leave the client's bytes; and
/// who reads the result finds nothing left to do.
fn law(dialect: Dialect, request: Request<'_>, rules: &RuleSet) -> Edits {
    let plan = planned(dialect, request, rules);
    let decision = plan.outcome.decision;
    let is_edited = matches!(decision, Decision::Set | Decision::Removed);
    assert_eq!(!plan.edits.is_empty(), is_edited, "{}", plan.outcome);
    let [target, body] = [Part::Target, Part::Body].map(|part| {
        let result = rewrite::apply(request.part(part), part, &plan.edits);
        assert_eq!(revert(&result, part, &plan.edits), request.part(part));
        result
    });
    if is_edited {
        let result = Request {
            target: str::from_utf8(&target).expect("an edited target is text"),
            body: &body,
            ..request
        };
        let again = planned(dialect, result, rules);
        let reason = match decision {
            Decision::Set => Reason::AlreadyOn,
            _ => Reason::AlreadyOff,
        };
        let outcome = (again.outcome.decision, again.outcome.reason);
        assert_eq!(outcome, (Decision::Kept, Some(reason)), "after {}", plan.outcome);
    }
    plan.edits
}

/// Reads, judges and decides, as the gateway does.
fn planned<'r>(dialect: Dialect, request: Request<'_>, rules: &'r RuleSet) -> Plan<'r> {
    let sent = Sent {
        method: "POST",
        content_types: &request.content_type.into_iter().collect::<Vec<_>>(),
    };
    rewrite::plan(&rewrite::read(dialect, request, &sent, rules), rules)
}

/// What serde_json reads, without what may change; `None` if it reads nothing.
fn without_nocache(body: &[u8]) -> Option<Value> {
    let mut value: Value = serde_json::from_slice(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).ok()?;
    let top = value.as_object_mut()?;
    top.retain(|name, _| !name.eq_ignore_ascii_case("clientKey"));
    for (name, task) in top {
        if let Some(task) = task.as_object_mut().filter(|_| name.eq_ignore_ascii_case("task")) {
            task.retain(|name, _| !name.eq_ignore_ascii_case("nocache"));
        }
    }
    Some(value)
}
