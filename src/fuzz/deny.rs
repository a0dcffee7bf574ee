//! A deny, for any request: what goes on shows the denied site to no other reader either.

use axum::body::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header, uri::PathAndQuery};
use serde_json::Value;

use crate::{
    api::{
        budget::Budget,
        handle::submission_dialect,
        judge::{Case, Verdict},
    },
    rules::{Action, Rule, RuleSet},
    sandbox::legacy_api,
    submission::{CaptchaNames, Dialect, Endpoint, Host},
};

const DENIED: &str = "evil.example";
const LIMIT: usize = 1 << 20;

/// A request as text: a line with method and target, lines of fields, an empty line, the body.
pub fn deny(data: &[u8]) {
    let Some((head, body)) = split(data, b"\n\n") else {
        return;
    };
    let Some(request) = request(head) else {
        return;
    };
    let endpoint = Endpoint::of(request.uri().path());
    let Some(dialect) = submission_dialect(endpoint, request.method()) else {
        return;
    };
    let rules = RuleSet::new(vec![rule()], Rule::built_in_default(), None, CaptchaNames::default());
    let case = Case {
        dialect,
        head: Box::new(request.into_parts().0),
        body: Bytes::copy_from_slice(body),
        charge: Budget::new(16 * LIMIT).charge(),
        rules: rules.into(),
        limit: LIMIT,
    };
    let judged = case.judge();
    let Verdict::Send { target, body, .. } = judged.verdict else {
        return;
    };
    for site in sites(dialect, &target, &judged.head.headers, &body) {
        assert!(!is_denied(&site), "{site:?} in {:?}", body.escape_ascii().to_string());
    }
}

fn rule() -> Rule {
    Rule {
        id: "fuzz".into(),
        sites: vec![DENIED.parse().unwrap()],
        captchas: Action::Deny.default_captchas(),
        action: Action::Deny,
        ..Rule::built_in_default()
    }
}

fn split<'d>(data: &'d [u8], at: &[u8]) -> Option<(&'d [u8], &'d [u8])> {
    let place = data.windows(at.len()).position(|window| window == at)?;
    Some((&data[..place], &data[place + at.len()..]))
}

fn request(head: &[u8]) -> Option<Request<()>> {
    let mut lines = head.split(|byte| *byte == b'\n');
    let (method, target) = split(lines.next()?, b" ")?;
    let target = PathAndQuery::try_from(target).ok()?;
    let mut request = Request::builder().method(method).uri(Uri::from(target)).body(()).ok()?;
    for line in lines {
        let (name, value) = split(line, b": ")?;
        let name = HeaderName::from_bytes(name).ok()?;
        request.headers_mut().append(name, HeaderValue::from_bytes(value).ok()?);
    }
    Some(request)
}

/// The sites that other readers find in what is sent.
fn sites(dialect: Dialect, target: &PathAndQuery, fields: &HeaderMap, body: &Bytes) -> Vec<String> {
    let query = target.query().unwrap_or("");
    if dialect == Dialect::CreateTask {
        return sites_of_task(body);
    }
    let content_type = fields.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let parameters = legacy_api::parameters(query, content_type, body.clone());
    let mut all = parameters.now_or_never().expect("the body is there");
    // Nobody reads what is sent as JSON or multipart as a form.
    let kind = content_type.unwrap_or("").to_ascii_lowercase();
    let is_form = !kind.contains("json") && !kind.contains("multipart");
    for text in [query.as_bytes(), if is_form { body } else { b"" }] {
        // By a reader that splits at semicolons as well, and by one that knows forms alone.
        let pieces: Vec<u8> = text
            .iter()
            .map(|byte| if *byte == b';' { b'&' } else { *byte })
            .collect();
        all.extend(form_urlencoded::parse(&pieces).into_owned());
    }
    all.retain(|(name, _)| name.eq_ignore_ascii_case("pageurl"));
    all.into_iter().map(|(_, site)| site).collect()
}

fn sites_of_task(body: &[u8]) -> Vec<String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut readings: Vec<Value> = serde_json::from_slice(body).into_iter().collect();
    #[cfg(test)]
    readings.extend(
        str::from_utf8(body)
            .ok()
            .and_then(|text| json5::from_str::<Value>(text).ok()),
    );
    let members = |value: &Value, wanted: &str| -> Vec<Value> {
        let members = value.as_object().into_iter().flatten();
        let named = members.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, value)| value.clone()).collect()
    };
    let tasks = readings.iter().flat_map(|reading| members(reading, "task"));
    let urls = tasks.flat_map(|task| members(&task, "websiteURL"));
    urls.filter_map(|url| url.as_str().map(str::to_owned)).collect()
}

/// Whether a reader by the URL standard finds the denied host, with or without a scheme.
fn is_denied(site: &str) -> bool {
    [site.to_owned(), format!("https://{site}"), format!("https:{site}")]
        .iter()
        .any(|text| {
            let host = url::Url::parse(text)
                .ok()
                .and_then(|url| url.host().map(Host::from_url));
            let Some(Ok(Host::Name(name))) = host else {
                return false;
            };
            name.strip_suffix(DENIED)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
}
