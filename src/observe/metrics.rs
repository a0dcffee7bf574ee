//! Counts and times of requests, for Prometheus. No label holds a site, a key or a task id, and no client can invent a
//! value: the names of rules come from the configuration, everything else from lists of the program.

use std::{fmt, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text},
    metrics::{counter::Counter, family::Family, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};
use smol_str::SmolStr;
use strum::VariantArray;

use super::{
    Fault, Record,
    clients::Habit,
    gauges::{Gauges, Now},
    process::Process,
    recent::Recent,
    record::Guarded,
};

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    submissions: Recent<SubmissionLabels, Counter>,
    requests: Recent<RequestLabels, Counter>,
    failures: Family<FailureLabels, Counter>,
    own_time: Recent<EndpointLabels, Histogram>,
    upstream_time: Recent<EndpointLabels, Histogram>,
    now: Gauges,
    reloads: Family<ReloadLabels, Counter>,
    warnings: Family<WarningLabels, Counter>,
    guarded: Family<GuardedLabels, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WarningLabels {
    warning: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct GuardedLabels {
    action: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SubmissionLabels {
    dialect: &'static str,
    captcha: &'static str,
    decision: &'static str,
    reason: &'static str,
    rule: RuleId,
}

/// The id of a rule, or nothing. It has no character that needs an escape. prometheus-client 0.24 makes none.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct RuleId(SmolStr);

impl EncodeLabelValue for RuleId {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.0.as_str().encode(encoder)
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    endpoint: &'static str,
    status: u32,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FailureLabels {
    fault: &'static str,
    cause: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EndpointLabels {
    endpoint: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReloadLabels {
    result: &'static str,
}

const SUCCESS: &str = "success";
const FAILURE: &str = "failure";

/// From 100 µs, in steps of about 3, to 100 s: an upstream that holds a request until its `timeout` is within.
fn times() -> Histogram {
    Histogram::new([
        0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0,
    ])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            submissions: Recent::of(Family::default()),
            requests: Recent::of(Family::default()),
            failures: Family::default(),
            own_time: Recent::of(Family::new_with_constructor(times)),
            upstream_time: Recent::of(Family::new_with_constructor(times)),
            now: Gauges::default(),
            reloads: Family::default(),
            warnings: Family::default(),
            guarded: Family::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = self.registry.sub_registry_with_prefix("nocache_gateway");
        registry.register(
            "submissions",
            "Submissions by what was decided; reason and rule are empty where there is none",
            self.submissions.family().clone(),
        );
        registry.register(
            "requests",
            "Requests by the status that the client got; 0 if it left before, or no request came of the head",
            self.requests.family().clone(),
        );
        registry.register(
            "failures",
            "Requests that failed or were refused, by the side that it is due to",
            self.failures.clone(),
        );
        registry.register_with_unit(
            "own_duration",
            "From a request's head to the end of its response, without the wait for the upstream's head",
            Unit::Seconds,
            self.own_time.family().clone(),
        );
        registry.register_with_unit(
            "upstream_duration",
            "From the moment a request was handed to the upstream until its response's head, or until it failed",
            Unit::Seconds,
            self.upstream_time.family().clone(),
        );
        self.now.register(registry);
        registry.register("reloads", "Reloads of the configuration", self.reloads.clone());
        registry.register(
            "client_warnings",
            "Requests of clients that risk a ban of the vendor's, or misuse nocache, by what they do",
            self.warnings.clone(),
        );
        registry.register(
            "guarded_polls",
            "Polls that the gateway answered itself, by why ([guard])",
            self.guarded.clone(),
        );
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", version);
        let process = self.registry.sub_registry_with_prefix("process");
        process.register_collector(Box::new(Process));
        // A series that begins with its first failure would show no increase.
        for result in [SUCCESS, FAILURE] {
            drop(self.reloads.get_or_create(&ReloadLabels { result }));
        }
        for habit in Habit::all() {
            let warning = habit.name();
            drop(self.warnings.get_or_create(&WarningLabels { warning }));
        }
        for action in Guarded::VARIANTS {
            let action = action.into();
            drop(self.guarded.get_or_create(&GuardedLabels { action }));
        }
    }

    /// Counts a request.
    pub fn observe(&self, record: &Record) {
        let endpoint = record.endpoint.into();
        if record.is_submission() {
            let decided = record.decided.as_ref();
            let labels = SubmissionLabels {
                dialect: record.dialect.map_or("", Into::into),
                captcha: match &record.captcha {
                    Some(captcha) => captcha.kind.map_or("other", Into::into),
                    None => "",
                },
                decision: decided.map_or("none", |decided| decided.decision.into()),
                reason: decided.and_then(|decided| decided.reason).map_or("", Into::into),
                rule: RuleId(decided.and_then(|decided| decided.rule.clone()).unwrap_or_default()),
            };
            self.submissions.count(labels, Counter::inc);
        }
        let status = record.status.map_or(0, |status| status.as_u16().into());
        self.requests.count(RequestLabels { endpoint, status }, Counter::inc);
        if let Some(guarded) = record.guarded {
            let action = guarded.into();
            self.guarded.get_or_create(&GuardedLabels { action }).inc();
        }
        if let Some(cause) = record.cause {
            let fault = match cause.fault() {
                Fault::Upstream => "upstream",
                Fault::Gateway => "gateway",
                Fault::Client => "client",
            };
            let cause = cause.into();
            self.failures.get_or_create(&FailureLabels { fault, cause }).inc();
        }
        // A connection that no request came of took no time that could be compared.
        if record.method.is_none() {
            return;
        }
        let upstream = record.upstream.unwrap_or_default();
        let note = |times: &Recent<EndpointLabels, Histogram>, time: Duration| {
            times.count(EndpointLabels { endpoint }, |times| times.observe(time.as_secs_f64()));
        };
        note(&self.own_time, record.took.saturating_sub(upstream));
        if record.upstream.is_some() {
            note(&self.upstream_time, upstream);
        }
    }

    /// Counts what a client does.
    pub fn warned(&self, habit: Habit) {
        let warning = habit.name();
        self.warnings.get_or_create(&WarningLabels { warning }).inc();
    }

    /// Counts a reload.
    pub fn reloaded(&self, is_success: bool) {
        let result = if is_success { SUCCESS } else { FAILURE };
        self.reloads.get_or_create(&ReloadLabels { result }).inc();
    }

    /// All metrics in the OpenMetrics text format 1.0.
    pub fn open_metrics(&self, now: &Now) -> String {
        self.now.set(now);
        let mut page = String::new();
        // A String takes everything.
        let _infallible = text::encode(&mut page, &self.registry);
        page
    }
}

/// The same page in Prometheus' own text format 0.0.4, which has no `# EOF`, no units and no info, and where the name of a
/// counter's family ends in `_total`.
pub fn prometheus_text(open_metrics: &str) -> String {
    let mut page = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            // The type, which follows, says what the family is called here.
            help = described.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|typed| typed.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                _ => ("", kind),
            };
            page += &format!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n");
        } else if !line.starts_with('#') {
            page += line;
            page.push('\n');
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};

    use super::*;
    use crate::{
        observe::{Cause, record::Decided},
        rewrite::{Decision, Reason},
        submission::{CaptchaNames, Dialect, Endpoint, Host},
    };

    /// The record of a createTask.
    fn submission(type_name: &str, site: &str) -> Record {
        Record {
            method: Some(Method::POST),
            endpoint: Endpoint::CreateTask,
            dialect: Some(Dialect::CreateTask),
            captcha: Some(CaptchaNames::default().of_type(type_name, false)),
            site: Some(Host::as_written(site)),
            decided: Some(Decided {
                decision: Decision::Set,
                action: None,
                rule: Some("shop".into()),
                via: None,
                reason: None,
                near: None,
                detail: None,
            }),
            status: Some(StatusCode::OK),
            took: Duration::from_millis(25),
            upstream: Some(Duration::from_millis(20)),
            ..Record::with_new_id()
        }
    }

    fn now(in_flight: usize, rules: usize) -> Now {
        Now {
            in_flight,
            rules,
            ..Now::default()
        }
    }

    fn all() -> Metrics {
        let metrics = Metrics::default();
        metrics.observe(&submission("RecaptchaV2Task", "shop.example"));
        metrics.observe(&Record {
            decided: Some(Decided {
                decision: Decision::Skipped,
                rule: None,
                reason: Some(Reason::Unreadable),
                ..submission("", "").decided.unwrap()
            }),
            captcha: None,
            cause: Some(Cause::Connect),
            status: Some(StatusCode::BAD_GATEWAY),
            ..submission("", "")
        });
        // Its head was malformed.
        metrics.observe(&Record::with_new_id());
        metrics.reloaded(true);
        metrics
    }

    #[test]
    fn a_request_is_counted_by_what_became_of_it() {
        let page = all().open_metrics(&now(7, 3));
        for line in [
            r#"nocache_gateway_submissions_total{dialect="json",captcha="recaptcha-v2",decision="set",reason="",rule="shop"} 1"#,
            r#"nocache_gateway_submissions_total{dialect="json",captcha="",decision="skipped",reason="unreadable",rule=""} 1"#,
            r#"nocache_gateway_requests_total{endpoint="createTask",status="502"} 1"#,
            r#"nocache_gateway_requests_total{endpoint="other",status="0"} 1"#,
            r#"nocache_gateway_failures_total{fault="upstream",cause="connect"} 1"#,
            r#"nocache_gateway_own_duration_seconds_bucket{le="0.003",endpoint="createTask"} 0"#,
            r#"nocache_gateway_own_duration_seconds_bucket{le="0.01",endpoint="createTask"} 2"#,
            r#"nocache_gateway_upstream_duration_seconds_count{endpoint="createTask"} 2"#,
            "nocache_gateway_in_flight 7",
            "nocache_gateway_rules 3",
            r#"nocache_gateway_reloads_total{result="success"} 1"#,
            r#"nocache_gateway_reloads_total{result="failure"} 0"#,
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line}\n{page}");
        }
        assert!(page.ends_with("# EOF\n"));
        assert!(!page.contains(r#"duration_seconds_count{endpoint="other"}"#), "{page}");
    }

    #[test]
    fn no_client_can_invent_a_label() {
        let metrics = Metrics::default();
        for number in 0..1000 {
            metrics.observe(&submission(
                &format!("Made{number}Task"),
                &format!("site-{number}.example"),
            ));
        }
        let page = metrics.open_metrics(&now(0, 1));
        assert!(
            page.contains(r#"captcha="other",decision="set",reason="",rule="shop"} 1000"#),
            "{page}"
        );
        assert!(!page.contains("Made") && !page.contains("site-"), "{page}");
        assert!(page.lines().count() < 110, "{page}");
    }

    #[test]
    fn prometheus_names_a_counter_by_its_sample() {
        let page = prometheus_text(&all().open_metrics(&now(0, 1)));
        for line in [
            "# TYPE nocache_gateway_submissions_total counter",
            "# TYPE nocache_gateway_own_duration_seconds histogram",
            "# TYPE nocache_gateway_in_flight gauge",
            "# TYPE nocache_gateway_build_info gauge",
            "# HELP nocache_gateway_rules Rules in force.",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line}\n{page}");
        }
        assert!(!page.contains("EOF") && !page.contains("# UNIT"), "{page}");
    }

    /// docs/metrics.md names every metric there is, with its help, and no other.
    #[test]
    fn the_document_names_every_metric() {
        let page = prometheus_text(&all().open_metrics(&now(0, 1)));
        let document = include_str!("../../docs/metrics.md");
        let documented: Vec<&str> = document
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(name, _)| name)
            .collect();
        let mut shown = Vec::new();
        for (name, help) in page
            .lines()
            .filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '))
        {
            shown.push(name);
            let row = document.lines().find(|line| line.starts_with(&format!("| `{name}`")));
            assert!(
                row.is_some_and(|row| row.contains(help.trim_end_matches('.'))),
                "{name}: {help}"
            );
        }
        assert_eq!(documented, shown);
    }
}
