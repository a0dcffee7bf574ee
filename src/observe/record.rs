//! The record of a request: a plain value that observers are given.

use std::{
    borrow::Cow,
    fmt,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderValue, Method, StatusCode};
use smol_str::SmolStr;

use super::Cause;
use crate::{
    rewrite::{Decision, Plan, Reason},
    rules::{Action, MissReason, Via},
    submission::{Captcha, Dialect, Endpoint, Host, lint::Lint},
    task::{Call, TaskId, VendorResult},
};

/// A request, from its head to the end of its response. It holds no key, no token and no query.
#[derive(Clone, Debug)]
pub struct Record {
    /// The gateway's own id of the request.
    pub id: RequestId,
    /// The address that it came from.
    pub peer: Option<IpAddr>,
    /// The client's `x-request-id`, if it is 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
    pub client_id: Option<String>,
    /// The method; `None` if no request came of the head.
    pub method: Option<Method>,
    /// The path without the query, with everything hidden that could be a secret (see [`shown_path`]).
    pub path: Cow<'static, str>,
    /// The API method that the path names.
    pub endpoint: Endpoint,
    /// The dialect of a submission; `None` for a request that is not read as one.
    pub dialect: Option<Dialect>,
    /// The captcha of a submission.
    pub captcha: Option<Captcha>,
    /// The host of a submission's target site.
    pub site: Option<Host>,
    /// What was decided about a submission.
    pub decided: Option<Decided>,
    /// Whether nocache is on in what is sent upstream; `None` if that is not known, or nothing is sent.
    pub nocache: Option<bool>,
    /// What a request about a task is for: a poll or a report.
    pub call: Option<Call>,
    /// The task that it is about.
    pub task: Option<TaskId>,
    /// The polls of the task so far.
    pub polled: Option<Polled>,
    /// What the gateway did with a poll instead of the upstream.
    pub guarded: Option<Guarded>,
    /// A mistake that the client makes with nocache.
    pub lint: Option<Lint>,
    /// The client's User-Agent field. It is never shown whole.
    pub agent: Option<HeaderValue>,
    /// A hash of the API key that only this process can make again.
    pub key: Option<u64>,
    /// What the vendor responded to a submission, or to a request about a task.
    pub vendor: Option<VendorResult>,
    /// The status sent to the client; `None` if the client left before, or no request came of the head.
    pub status: Option<StatusCode>,
    /// The upstream's status; `None` if there was no response.
    pub upstream_status: Option<StatusCode>,
    /// The cause of a failure or refusal.
    pub cause: Option<Cause>,
    /// What happened, in words, where there is a cause.
    pub error: Option<String>,
    /// When the request's head had arrived.
    pub began: Instant,
    /// From then to the end of its response.
    pub took: Duration,
    /// From the moment the request was handed to the upstream until its response's head arrived, or until it failed.
    pub upstream: Option<Duration>,
    /// How many bytes of the request's body had arrived by then; 0 for a request that was refused by its head.
    pub bytes_in: u64,
    /// How many bytes of the response's body were handed to the connection.
    pub bytes_out: u64,
}

/// The polls of a task so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polled {
    /// How many were sent, this one included.
    pub times: u32,
    /// The time since the one before.
    pub spacing: Option<Duration>,
}

/// Why the gateway answered a poll itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Guarded {
    /// It came too early.
    Paced,
    /// The upstream cannot be reached.
    Outage,
    /// What it asks about cannot be a task.
    WrongId,
}

/// What was decided about a submission: an [`Outcome`](crate::rewrite::Outcome) that outlives its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub decision: Decision,
    /// The action of the rule that decided.
    pub action: Option<Action>,
    /// The rule that decided.
    pub rule: Option<SmolStr>,
    /// The way in which nocache was changed.
    pub via: Option<Via>,
    /// The reason why nothing was changed.
    pub reason: Option<Reason>,
    /// A rule that would have decided but for the path or the captcha, if the lookup met one.
    pub near: Option<(SmolStr, MissReason)>,
    /// What is wrong with the submission, in words.
    pub detail: Option<String>,
}

impl From<&Plan<'_>> for Decided {
    fn from(plan: &Plan<'_>) -> Self {
        let outcome = &plan.outcome;
        Self {
            decision: outcome.decision,
            action: outcome.action(),
            rule: outcome.rule.map(|rule| rule.id.clone()),
            via: outcome.via,
            reason: outcome.reason,
            near: plan.missed.map(|(rule, reason)| (rule.id.clone(), reason)),
            detail: plan.flaw.map(|flaw| flaw.to_string()),
        }
    }
}

impl Record {
    /// A record with an id of its own that begins now, and nothing else known.
    pub fn with_new_id() -> Self {
        Self::begun(Instant::now())
    }

    /// A record with an id of its own that began then, and nothing else known.
    pub fn begun(began: Instant) -> Self {
        Self {
            id: RequestId::next(),
            peer: None,
            client_id: None,
            method: None,
            path: Cow::Borrowed(""),
            endpoint: Endpoint::Other,
            dialect: None,
            captcha: None,
            site: None,
            decided: None,
            nocache: None,
            call: None,
            task: None,
            polled: None,
            guarded: None,
            lint: None,
            agent: None,
            key: None,
            vendor: None,
            status: None,
            upstream_status: None,
            cause: None,
            error: None,
            began,
            took: Duration::ZERO,
            upstream: None,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// When its response ended.
    pub fn ended(&self) -> Instant {
        self.began + self.took
    }

    /// Whether it is about a submission, read or refused.
    pub fn is_submission(&self) -> bool {
        self.dialect.is_some() || self.decided.is_some()
    }
}

/// The id of a request, unique among the processes that write to one log. A structured field token (RFC 9651).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(u64);

/// Tells processes apart.
static PROCESS: LazyLock<u32> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()) as u32);

impl RequestId {
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{:08x}-{}", *PROCESS, self.0)
    }
}

/// The most that is shown of anything a client sent, in bytes.
const MAX_SHOWN: usize = 253;

/// What is shown of a host that is not shown.
pub const HIDDEN_HOST: &str = "other";

/// A host as it may be shown: letters, digits, `.`, `-` and `_`, or an address. The WHATWG URL standard has hosts with quotes and
/// commas in them, which would say something else where a host is written into a line; and a mangled request can have its
/// key where the site belongs, and a key has no dot.
pub fn shown_host(host: &Host) -> Cow<'_, str> {
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    match host {
        Host::Name(name) if (name.contains('.') || &**name == "localhost") && name.bytes().all(is_plain) => {
            Cow::from(&name[..name.len().min(MAX_SHOWN)])
        }
        Host::Name(_) => Cow::from(HIDDEN_HOST),
        Host::Address(_) => Cow::from(host.to_string()),
    }
}

/// A path as it may be shown. A mangled request can carry its key there (`/in.php&key=…`), so a segment as long as a key is
/// not shown, and nothing from the first character on that no path of the API has.
pub fn shown_path(path: &str) -> Cow<'static, str> {
    /// The usual paths.
    const USUAL: [&str; 5] = ["/createTask", "/getTaskResult", "/getBalance", "/in.php", "/res.php"];
    match USUAL.iter().find(|usual| **usual == path) {
        Some(usual) => Cow::Borrowed(usual),
        None => Cow::Owned(shown_segments(path)),
    }
}

fn shown_segments(path: &str) -> String {
    const ELLIPSIS: &str = "…";
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '*');
    let mut shown = String::new();
    for (number, segment) in path.split('/').enumerate() {
        if number > 0 {
            shown.push('/');
        }
        let plain = segment.find(|c| !is_plain(c)).unwrap_or(segment.len());
        match segment.len() {
            32.. => shown.push_str(ELLIPSIS),
            _ => shown.push_str(&segment[..plain]),
        }
        if shown.len() > MAX_SHOWN - ELLIPSIS.len() {
            shown.truncate(shown.floor_char_boundary(MAX_SHOWN - ELLIPSIS.len()));
            return shown + ELLIPSIS;
        }
        if plain < segment.len() {
            if !shown.ends_with(ELLIPSIS) {
                shown.push_str(ELLIPSIS);
            }
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_could_hold_a_key_is_not_shown() {
        for (path, shown) in [
            ("/createTask", "/createTask"),
            ("/reportIncorrectImageCaptcha/", "/reportIncorrectImageCaptcha/"),
            ("*", "*"),
            ("/in.php&key=SECRET", "/in.php…"),
            ("/in.php%3Fkey=SECRET", "/in.php…"),
            ("/0123456789abcdef0123456789abcdef/createTask", "/…/createTask"),
            ("/res.php/0123456789abcdef0123456789ab%63def/x", "/res.php/…"),
            ("/in.php&key=0123456789abcdef0123456789abcdef", "/…"),
            ("/caf\u{e9}", "/caf…"),
        ] {
            assert_eq!(shown_path(path), shown, "{path}");
        }
        assert!(shown_path(&"/a".repeat(1000)).len() <= 253);
        let straddling = "/a".repeat(120) + "/0123456789abcdef0123456789abcdef";
        assert!(!shown_path(&straddling).contains("0123"));
    }

    #[test]
    fn a_host_that_could_be_a_key_is_not_shown() {
        for (host, shown) in [
            ("shop.example", "shop.example"),
            ("localhost", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("0123456789abcdef0123456789abcdef", "other"),
            ("intranet", "other"),
            ("a\",b.example", "other"),
            ("a=1;b'.example", "other"),
            ("bücher.example", "other"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("", "other"),
        ] {
            assert_eq!(shown_host(&Host::as_written(host)), shown, "{host}");
        }
        assert_eq!(shown_host(&Host::as_written(&"a.".repeat(1000))).len(), 253);
    }

    #[test]
    fn ids_are_tokens_and_differ() {
        let (a, b) = (RequestId::next().to_string(), RequestId::next().to_string());
        assert_ne!(a, b);
        assert!(
            a.starts_with('r') && a.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
            "{a}"
        );
    }
}
