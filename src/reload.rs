//! Live reload: a changed file is loaded whole and checked, and its rules replace the running ones at once. A broken
//! file changes nothing. Requests in flight finish under the rules they began with.
//!
//! Changes are noticed by the system's file events, in the folders of all files that were read, so that editors that rename and
//! symbolic links that are swapped (as Kubernetes does) are seen; and by comparing contents every few seconds beside,
//! since some mounts tell nothing. What decides is always the contents.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{RecursiveMode, Watcher};
use tokio::{
    sync::mpsc,
    time::{self, Instant},
};
use tracing::{debug, error, info, warn};

use crate::{
    admin::Readiness,
    api::Gateway,
    config::{self, Config, LoadError, Overrides, sections},
};

/// How long files have to be quiet before they are read: an editor writes in several steps.
const QUIET: Duration = Duration::from_millis(200);

/// How long they may go on changing before they are read all the same.
const LATEST: Duration = Duration::from_secs(2);

/// How often contents are compared without an event.
const COMPARE: Duration = Duration::from_secs(5);

/// A running configuration that follows its files.
pub struct Reloader {
    overrides: Overrides,
    readiness: Readiness,
    /// The files that were read last, and what was in them.
    seen: Contents,
    /// The settings that the process began with.
    started: Vec<sections::InForce>,
}

/// Files and what is in them; none where one cannot be read.
type Contents = Vec<(PathBuf, Option<Vec<u8>>)>;

impl Reloader {
    /// Prepares to follow the files of a configuration that is in force.
    pub fn new(overrides: Overrides, config: &Config, readiness: Readiness) -> Self {
        let mut reloader = Self {
            overrides,
            readiness,
            seen: Vec::new(),
            started: sections::in_force(config),
        };
        reloader.note(config);
        reloader
    }

    /// Notes what was read. From then on that file is followed, wherever it was found: if it goes away, its rules stay.
    fn note(&mut self, config: &Config) {
        let file = config.file.clone().or_else(|| self.overrides.file.clone());
        let mut sources = config
            .sources
            .iter()
            .map(|source| Some(source.text.clone().into_bytes()));
        self.seen = match &file {
            Some(file) => vec![(file.clone(), sources.next().flatten())],
            // One that is not there yet may appear.
            None => config::load::PLACES.map(|place| (PathBuf::from(place), None)).into(),
        };
        let others = config.sources.iter().skip(1).map(|source| PathBuf::from(&source.path));
        self.seen.extend(others.zip(sources));
        self.overrides.file = file;
    }

    /// Follows them. `asked` says that a reload is wanted whatever the files hold. Never ends.
    pub async fn run(mut self, gateway: Arc<Gateway>, mut asked: mpsc::Receiver<()>) {
        let (sender, mut events) = mpsc::channel(1);
        let mut watching = Watching::new(sender);
        watching.follow(&self.seen);
        let mut compare = time::interval(COMPARE);
        compare.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        // When files that changed are to be read: once they are quiet, but not later than `LATEST` after the first change.
        let mut due: Option<(Instant, Instant)> = None;
        loop {
            let is_asked = tokio::select! {
                Some(()) = asked.recv() => true,
                Some(()) = events.recv() => {
                    let latest = due.map_or(Instant::now() + LATEST, |(_, latest)| latest);
                    due = Some((latest.min(Instant::now() + QUIET), latest));
                    continue;
                }
                () = time::sleep_until(due.map_or_else(Instant::now, |(at, _)| at)), if due.is_some() => false,
                _ = compare.tick() => false,
            };
            due = None;
            let now = contents(self.seen.iter().map(|(path, _)| path.clone()).collect());
            if is_asked || now != self.seen {
                self.reload(&gateway, now);
                watching.follow(&self.seen);
            }
        }
    }

    /// `now` is what the files held just before. Whatever changes from there on is another change.
    fn reload(&mut self, gateway: &Gateway, now: Contents) {
        match config::load(&self.overrides) {
            Ok(config) => {
                self.note(&config);
                self.warn_of_what_needs_a_restart(&config);
                let rules = config.rules.rules().len();
                gateway.set_rules(config.rules);
                self.readiness.set_complaint(None);
                info!(rules, "configuration reloaded");
            }
            Err(error) => {
                // It is tried again after the next change.
                self.seen = now;
                error!("configuration not reloaded, the previous rules stay in force:\n{error}");
                let summary = match &error {
                    LoadError::Mistakes(report) if report.problems.len() == 1 => "1 error".to_owned(),
                    LoadError::Mistakes(report) => format!("{} errors", report.problems.len()),
                    other => other.to_string(),
                };
                self.readiness.set_complaint(Some(format!(
                    "the configuration on disk is not in force ({summary}); nocache-gateway check says more"
                )));
            }
        }
    }

    /// Only rules are swapped: listeners, limits and the like are what the process began with.
    fn warn_of_what_needs_a_restart(&self, config: &Config) {
        let changed: Vec<String> = sections::in_force(config)
            .into_iter()
            .zip(&self.started)
            .filter(|(now, started)| now.value != started.value && !now.is_live)
            .map(|(now, _)| now.path)
            .collect();
        if !changed.is_empty() {
            warn!(
                settings = changed.join(", "),
                "these settings changed, but take effect only at the next start"
            );
        }
    }
}

/// What files hold now.
fn contents(files: Vec<PathBuf>) -> Contents {
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).ok();
        (path, bytes)
    };
    files.into_iter().map(read).collect()
}

/// The system's file events, for the folders of some files.
struct Watching {
    /// None where the system offers none: then contents are compared alone.
    watcher: Option<notify::RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

impl Watching {
    fn new(events: mpsc::Sender<()>) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // A read is not a change; reacting to our own reads would never end.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // If one is waiting already, that one is enough.
                let _ = events.try_send(());
            }
        });
        if let Err(error) = &watcher {
            debug!("file events are not to be had ({error}): contents are compared every {COMPARE:?}");
        }
        Self {
            watcher: watcher.ok(),
            folders: BTreeSet::new(),
        }
    }

    /// Watches the folders that the files lie in, and those that symbolic links lead to.
    fn follow(&mut self, files: &Contents) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let wanted: BTreeSet<PathBuf> = files.iter().flat_map(|(path, _)| folders(path)).collect();
        for gone in self.folders.difference(&wanted) {
            let _ = watcher.unwatch(gone);
        }
        for folder in wanted.difference(&self.folders) {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                debug!("{} cannot be watched: {error}", folder.display());
            }
        }
        self.folders = wanted;
    }
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let folder = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let real = fs::canonicalize(path).map(|real| folder(&real));
    [Ok(folder(path)), real].into_iter().flatten().collect()
}
