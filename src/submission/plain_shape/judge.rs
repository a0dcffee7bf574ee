//! The whole list: one line for each thing that is required of a submission.

use super::{
    Doubt,
    body::{self, Media},
    form::Decided,
    json, multipart, names, path, site,
};
use crate::submission::{
    Captcha, CaptchaNames, Dialect, Kind, Parameters, Request, Scalar, Submission, Syntax, captcha::MAX_NAME, legacy,
};

/// What of a request is judged and not read.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// All Content-Type fields.
    pub content_types: &'a [&'a [u8]],
}

impl Sent<'_> {
    /// What clients usually send beside a body: the method that has one, or has none, and no Content-Type.
    pub fn usual(dialect: Dialect, body: &[u8]) -> Self {
        let is_get = dialect == Dialect::Legacy && body.is_empty();
        Self {
            method: if is_get { "GET" } else { "POST" },
            content_types: &[],
        }
    }
}

/// The names that decide at the top of a createTask body and in its task.
const TOP: [&str; 1] = ["task"];
const TASK: [&str; 3] = ["type", "websiteURL", "isEnterprise"];
/// The names that decide in a legacy request; the last two for reCAPTCHA alone.
const LEGACY: [&str; 4] = ["method", "pageurl", "version", "enterprise"];

/// Judges a submission: it gets a doubt if its shape is not plain, and the captcha that its type or method is to a reader
/// that folds more.
pub fn judge(submission: &mut Submission<'_>, request: &Request<'_>, sent: &Sent<'_>, names: &CaptchaNames) {
    let (is_v3, is_enterprise) = v3_and_enterprise(submission.dialect, &submission.lists);
    if let Some(captcha) = &mut submission.captcha {
        names.fold(captcha, is_v3, is_enterprise);
    }
    submission.doubt = doubt(submission, request, sent).err();
}

/// Refuses a request that is not read and may be a submission to somebody: by its path, or by its method. OPTIONS passes
/// without a query and a body (`is_bare`).
pub fn unread(path: &str, method: &str, is_bare: bool) -> Result<(), Doubt> {
    path::check(path)?;
    let is_preflight = method == "OPTIONS" && is_bare;
    match path::is_plain(path) && !is_preflight {
        true => Err(Doubt::Method),
        false => Ok(()),
    }
}

fn doubt(submission: &Submission<'_>, request: &Request<'_>, sent: &Sent<'_>) -> Result<(), Doubt> {
    let path = request.target.split('?').next().unwrap_or_default();
    path::check(path)?;
    match (submission.dialect, sent.method) {
        (Dialect::CreateTask, "POST") | (Dialect::Legacy, "GET" | "HEAD" | "POST") => {}
        _ => return Err(Doubt::Method),
    }
    let media = body::media(sent.content_types, request.body.is_ascii())?;
    // The parts of a multipart body are looked at one by one.
    if !matches!(media, Media::Multipart { .. }) && str::from_utf8(request.body).is_err() {
        return Err(Doubt::NotUtf8);
    }
    let url = match submission.dialect {
        Dialect::CreateTask => create_task(submission, request, media)?,
        Dialect::Legacy => in_php(submission, request, media)?,
    };
    match (&submission.site, url) {
        (Ok(_), Some(url)) => site::check(&url),
        _ => Ok(()),
    }
}

/// Returns the site as written.
fn create_task(submission: &Submission<'_>, request: &Request<'_>, media: Media<'_>) -> Result<Option<String>, Doubt> {
    if matches!(media, Media::Multipart { .. }) {
        return Err(Doubt::ContentType);
    }
    json::check_start(request.body)?;
    let [top, task] = &submission.lists[..] else {
        return Err(Doubt::Json);
    };
    names::check(std::slice::from_ref(top), &TOP)?;
    names::check(std::slice::from_ref(task), &TASK)?;
    word(text(value(task, "type"), "type")?, "type")?;
    if is_v3(submission.captcha.as_ref()) {
        known(value(task, "isEnterprise"), "isEnterprise", is_flag)?;
    }
    text(value(task, "websiteURL"), "websiteURL")
}

/// Returns the site as written.
fn in_php(submission: &Submission<'_>, request: &Request<'_>, media: Media<'_>) -> Result<Option<String>, Doubt> {
    let lists = &submission.lists[..];
    let is_recaptcha = submission
        .captcha
        .as_ref()
        .is_some_and(|captcha| captcha.kind.is_some());
    let deciding = if is_recaptcha { &LEGACY[..] } else { &LEGACY[..2] };
    let body = lists.get(1).map(|list| &list.syntax);
    match (media, body) {
        (_, None) => {}
        (Media::Multipart { boundary }, Some(Syntax::Multipart { .. })) => {
            multipart::check(request.body, boundary, deciding)?;
        }
        (Media::Json, Some(Syntax::Json)) => json::check_start(request.body)?,
        (Media::Other, Some(Syntax::Json)) => {
            json::check_start(request.body)?;
            json::check_not_a_form(request.body, deciding)?;
        }
        (Media::Other, Some(Syntax::Form)) => {}
        (Media::Json, _) => return Err(Doubt::Json),
        _ => return Err(Doubt::ContentType),
    }
    names::check(lists, deciding)?;
    // It names the charset of a form (RFC 7578, section 4.6).
    if lists.iter().any(|list| list.named("_charset_").next().is_some()) {
        return Err(Doubt::Charset);
    }
    let of = |name| lists.iter().find_map(|list| value(list, name));
    let (method, url, version, enterprise) = (of("method"), of("pageurl"), of("version"), of("enterprise"));
    let method = word(text(method, "method")?, "method")?;
    let url = text(url, "pageurl")?;
    if is_recaptcha {
        known(version.clone(), "version", is_version)?;
        known(enterprise.clone(), "enterprise", is_flag)?;
    }
    let decided = Decided {
        texts: &[
            ("method", method.as_deref()),
            ("version", version.as_ref().and_then(Scalar::as_text)),
            ("enterprise", enterprise.as_ref().and_then(Scalar::as_text)),
        ],
        site: &submission.site,
    };
    decided.check_semicolons(lists, deciding)?;
    Ok(url)
}

fn is_v3(captcha: Option<&Captcha>) -> bool {
    let kind = captcha.and_then(|captcha| captcha.kind);
    matches!(kind, Some(Kind::RecaptchaV3 | Kind::RecaptchaV3Enterprise))
}

/// Whether v3 and Enterprise are asked for beside the type or method.
fn v3_and_enterprise(dialect: Dialect, lists: &[Parameters<'_>]) -> (bool, bool) {
    let of = |name| lists.iter().filter_map(|list| value(list, name)).next_back();
    match dialect {
        Dialect::CreateTask => (false, of("isEnterprise").is_some_and(|value| value.is_on())),
        Dialect::Legacy => (
            of("version").is_some_and(|value| value.as_text().is_some_and(legacy::is_v3)),
            of("enterprise").is_some_and(|value| value.is_on()),
        ),
    }
}

/// The last value of a name; null counts as absent.
fn value<'a>(list: &Parameters<'a>, name: &str) -> Option<Scalar<'a>> {
    let value = list.named(name).last().map(|at| list.scalar(&list.items[at]));
    value.filter(|value| *value != Scalar::Bare("null"))
}

/// A value that has to be a string.
fn text(value: Option<Scalar<'_>>, name: &'static str) -> Result<Option<String>, Doubt> {
    match value {
        None => Ok(None),
        Some(Scalar::Text(text)) => Ok(Some(text.into_owned())),
        Some(_) => Err(Doubt::Value(name)),
    }
}

/// A type or a method, which is short.
fn word(text: Option<String>, name: &'static str) -> Result<Option<String>, Doubt> {
    match text.as_ref().is_none_or(|text| text.len() <= MAX_NAME) {
        true => Ok(text),
        false => Err(Doubt::Value(name)),
    }
}

/// A value that has to be a known one.
fn known(value: Option<Scalar<'_>>, name: &'static str, is_known: fn(&Scalar<'_>) -> bool) -> Result<(), Doubt> {
    match value.is_none_or(|value| is_known(&value)) {
        true => Ok(()),
        false => Err(Doubt::Value(name)),
    }
}

fn is_flag(value: &Scalar<'_>) -> bool {
    value.is_on() || value.is_off()
}

fn is_version(value: &Scalar<'_>) -> bool {
    let known = |text: &str| {
        ["", "2", "3", "v2", "v3"]
            .iter()
            .any(|known| text.eq_ignore_ascii_case(known))
    };
    value.as_text().is_some_and(known)
}
