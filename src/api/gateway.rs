//! What every request is handled with: settings, rules, upstream, and the places of requests in flight.

use std::{
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::available_parallelism,
    time::Duration,
};

use parking_lot::RwLock;
use tokio::sync::Semaphore;

use crate::{
    observe::{Observers, gauges::Now},
    rules::{RuleSet, Unreadable},
    server::ConnectionFault,
    upstream::Upstream,
};

use super::{
    admission::PeerRange, budget::Budget, cross_site::CrossSite, guard, places::Places, recording::record_fault,
    request_target::Names,
};

/// How the API listener behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Further names of the gateway's own, for absolute-form requests.
    pub names: Vec<String>,
    /// Names that a hosts file points at the gateway.
    pub hosts_file_names: Vec<String>,
    /// Names that the proxy stands for, beside the upstream's.
    pub proxy_names: Vec<String>,
    /// The largest body of a submission, in bytes.
    pub body_limit: usize,
    /// How many bytes are held of all bodies together. What does not fit is refused.
    pub body_budget: usize,
    /// The peers that are served beside loopback; none means all.
    pub allow: Vec<PeerRange>,
    /// What happens to requests that a browser sends for a page of another site.
    pub cross_site: CrossSite,
    /// The longest pause between two reads of a request's body.
    pub body_timeout: Duration,
    /// How many requests may be in flight at once, responses included. Further ones are refused.
    pub max_in_flight: usize,
    /// Whether responses to submissions carry [`super::fields::DECISION`].
    pub decision_header: bool,
    /// Whether that field carries the request's id.
    pub request_id: bool,
    /// How polls are guarded.
    pub guard: guard::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            hosts_file_names: Vec::new(),
            proxy_names: Vec::new(),
            body_limit: 32 << 20,
            body_budget: 256 << 20,
            allow: Vec::new(),
            cross_site: CrossSite::default(),
            body_timeout: Duration::from_secs(30),
            max_in_flight: 1024,
            decision_header: true,
            request_id: false,
            guard: guard::Settings::default(),
        }
    }
}

/// The gateway: what every request is handled with.
#[derive(Debug)]
pub struct Gateway {
    pub(super) settings: Settings,
    rules: RwLock<Arc<RuleSet>>,
    pub(super) upstream: Upstream,
    pub(super) names: Names,
    pub(super) places: Places,
    pub(super) budget: Arc<Budget>,
    /// So many bodies that take long to judge are judged at once.
    pub(super) judges: Arc<Semaphore>,
    pub(super) observers: Observers,
    /// Whether requests in flight are cut off because the gateway stops.
    is_stopping: AtomicBool,
}

impl Gateway {
    /// A gateway by these rules to this upstream.
    pub fn new(settings: Settings, rules: RuleSet, upstream: Upstream, observers: Observers) -> Self {
        Self {
            places: Places::new(settings.max_in_flight),
            budget: Budget::new(settings.body_budget),
            judges: Arc::new(Semaphore::new(available_parallelism().map_or(1, NonZero::get))),
            names: Names::new(upstream.origins(), &settings),
            settings,
            observers,
            is_stopping: AtomicBool::new(false),
            rules: RwLock::new(Arc::new(rules)),
            upstream,
        }
    }

    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Puts other rules in force. Requests that began under the old ones finish under them.
    pub fn set_rules(&self, rules: RuleSet) {
        let old = std::mem::replace(&mut *self.rules.write(), Arc::new(rules));
        // Freeing a long list takes a while, so it happens here, after the lock is released.
        drop(old);
    }

    /// Records a connection, or a head, that no request came of.
    pub fn record_fault(&self, fault: ConnectionFault) {
        record_fault(&self.observers, fault);
    }

    /// Who is given each record.
    pub fn observers(&self) -> &Observers {
        &self.observers
    }

    /// How many requests are in flight.
    pub fn in_flight(&self) -> usize {
        self.places.taken()
    }

    /// Counts a reload of the configuration.
    pub fn count_reload(&self, is_success: bool) {
        self.observers.metrics.reloaded(is_success);
    }

    /// All metrics, in the OpenMetrics text format 1.0.
    pub fn metrics(&self) -> String {
        let counts = self.upstream.counts();
        let counted = &self.observers.counted;
        self.observers.metrics.open_metrics(&Now {
            in_flight: self.in_flight(),
            connections: counted.connections.load(Ordering::Relaxed),
            rules: self.rules().rules().len(),
            idle: counts.idle,
            is_ledger_failing: self
                .observers
                .ledger
                .file()
                .is_some_and(|(_, failure)| failure.is_some()),
            opened: counts.opened,
            reused: counts.reused,
            log_lines_dropped: counted.log_lines_dropped.load(Ordering::Relaxed),
        })
    }

    /// Cuts off requests that are still in flight, because the gateway stops. Those that wait for the upstream get a response
    /// of the gateway's own: some clients take a connection that just ends for one that they may try again, and pay twice.
    /// They see it when their server is told ([`crate::server::Stop::CutOff`]).
    pub fn cut_off(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Whether requests are cut off. Nothing is sent on any more.
    pub(super) fn has_cut_off(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// What the rules in force say of a submission that cannot be read.
    pub(super) fn unreadable(&self) -> Unreadable {
        self.rules.read().unreadable()
    }

    /// The rules in force. A request takes them once.
    pub fn rules(&self) -> Arc<RuleSet> {
        self.rules.read().clone()
    }
}
