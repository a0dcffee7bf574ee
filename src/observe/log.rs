//! The log: one event per record. Submissions are logged at info, other requests at debug, failures of the gateway or the
//! upstream at warn; but while a failure lasts, only the first is a warning, and then one a minute says how many.

use http::Method;
use parking_lot::Mutex;
use tracing::{Level, info, warn};

use super::{
    Fault, Record,
    outage::{Outage, Report},
    record::shown_host,
};

/// The log as an observer.
#[derive(Debug, Default)]
pub struct Log {
    upstream: Mutex<Outage>,
    gateway: Mutex<Outage>,
}

impl Log {
    /// Writes a record's event.
    pub fn observe(&self, record: &Record) {
        let now = record.ended();
        let report = match record.cause.map(|cause| cause.fault()) {
            Some(Fault::Upstream) => Some(self.upstream.lock().fail(now)),
            Some(Fault::Gateway) => Some(self.gateway.lock().fail(now)),
            Some(Fault::Client) | None => None,
        };
        match report {
            Some(Report::First) => write(record, Level::WARN),
            _ if record.is_submission() => write(record, Level::INFO),
            _ => write(record, Level::DEBUG),
        }
        if let Some(Report::Summary { failures }) = report {
            let cause: Option<&str> = record.cause.map(Into::into);
            warn!(failures, cause, "requests still fail");
        }
        let is_success = record.upstream_status.is_some() && report.is_none();
        // A statement of its own, so that the lock is free before the log is written.
        let ended = if is_success {
            self.upstream.lock().succeed(now)
        } else {
            None
        };
        if let Some(ended) = ended {
            let outage_ms = ended.lasted.as_millis() as u64;
            info!(failures = ended.failures, outage_ms, "the upstream responds again");
        }
    }
}

/// A method as it may be shown: bytes of a mangled request in front of it could be the end of a key.
fn shown_method(method: &Method) -> &str {
    const KNOWN: [Method; 9] = [
        Method::CONNECT,
        Method::DELETE,
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::PATCH,
        Method::POST,
        Method::PUT,
        Method::TRACE,
    ];
    if KNOWN.contains(method) {
        method.as_str()
    } else {
        "other"
    }
}

fn write(record: &Record, level: Level) {
    // The macros take a constant level and message.
    macro_rules! event {
        ($level:expr, $message:literal) => {{
            let decided = record.decided.as_ref();
            let word = |word: Option<&'static str>| word;
            tracing::event!(
                $level,
                id = display(record.id),
                client_id = record.client_id.as_deref(),
                method = record.method.as_ref().map(shown_method),
                path = &*record.path,
                endpoint = word(Some(record.endpoint.into())),
                dialect = word(record.dialect.map(Into::into)),
                captcha = record.captcha.as_ref().map(display),
                site = record.site.as_ref().map(|site| display(shown_host(site))),
                decision = word(decided.map(|decided| decided.decision.into())),
                action = word(decided.and_then(|decided| decided.action).map(Into::into)),
                rule = decided.and_then(|decided| decided.rule.as_deref()),
                via = word(decided.and_then(|decided| decided.via).map(Into::into)),
                reason = word(decided.and_then(|decided| decided.reason).map(Into::into)),
                detail = decided.and_then(|decided| decided.detail.as_deref()),
                near = decided
                    .and_then(|decided| decided.near.as_ref())
                    .map(|(rule, reason)| format!("{rule}:{}", <&str>::from(*reason))),
                status = record.status.map(|status| status.as_u16()),
                upstream_status = record.upstream_status.map(|status| status.as_u16()),
                task = record.task.map(|task| task.number()),
                guard = word(record.guarded.map(Into::into)),
                cause = word(record.cause.map(Into::into)),
                error = record.error.as_deref(),
                took_ms = record.took.as_millis() as u64,
                upstream_ms = record.upstream.map(|upstream| upstream.as_millis() as u64),
                bytes_in = record.bytes_in,
                bytes_out = record.bytes_out,
                $message
            )
        }};
    }
    match (record.is_submission(), level) {
        (true, Level::WARN) => event!(Level::WARN, "submission"),
        (true, _) => event!(Level::INFO, "submission"),
        (false, Level::WARN) => event!(Level::WARN, "request"),
        (false, _) => event!(Level::DEBUG, "request"),
    }
}
