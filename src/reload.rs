//! Live reload: a changed file is loaded whole and checked, and its rules replace the running ones at once. A broken
//! file changes nothing. Requests in flight finish under the rules they began with.
//!
//! Changes are noticed by the system's file events, in the folders of all files that were read, so that editors that rename and
//! symbolic links that are swapped (as Kubernetes does) are seen; and by comparing contents every few seconds beside,
//! since some mounts tell nothing. What decides is always the contents.
//!
//! All of it happens on a thread of its own, which may wait for a slow disk or a mount that hangs; nothing waits for it.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use notify::{RecursiveMode, Watcher};
use parking_lot::{Condvar, Mutex};
use tracing::{debug, error, field, info, warn};

use crate::{
    admin::{Reload, Status},
    api::Gateway,
    config::{
        self, Config, LoadError, Overrides, Reading, Source, files,
        mask::mask,
        sections::{self, InForce},
        shown, warnings,
    },
    tls::{CertificateError, Certificates},
    upstream::Proxy,
};

/// How long files have to be quiet before they are read: an editor writes in several steps.
const QUIET: Duration = Duration::from_millis(200);

/// How long they may go on changing before they are read all the same.
const LATEST: Duration = Duration::from_secs(2);

/// How often contents are compared without an event.
const COMPARE: Duration = Duration::from_secs(5);

/// How many rules `/config` shows.
const SHOWN_RULES: usize = 1_000;

/// A running configuration that follows its files.
pub struct Reloader {
    overrides: Overrides,
    /// What the listeners show; their files are followed, too.
    certificates: Vec<Arc<Certificates>>,
    status: Status,
    /// The files that are followed, and what was in them when they were read last.
    seen: Contents,
    /// What was read of files that cannot be read again.
    once: Vec<Source>,
    /// What on disk is not in force, and was said.
    complaint: Option<Known>,
    /// The settings that the process began with.
    started: Vec<InForce>,
    /// The proxy among them, of which not everything is shown.
    proxy: Option<Proxy>,
}

/// A complaint that was said.
#[derive(PartialEq, Eq)]
struct Known {
    /// Then it may be put right in a file that only the new configuration names, and that is not followed yet.
    is_of_configuration: bool,
    text: String,
}

/// Why something on disk is not in force.
#[derive(Debug, thiserror::Error)]
enum Complaint {
    #[error("configuration not reloaded, the previous rules stay in force:\n{0}")]
    Configuration(LoadError),
    #[error("certificate not reloaded, the previous one is still shown: {0}")]
    Certificates(CertificateError),
}

impl Complaint {
    /// In one line.
    fn summary(&self) -> String {
        let summary = match self {
            Self::Configuration(LoadError::Mistakes(report)) if report.problems.len() == 1 => "1 error".to_owned(),
            Self::Configuration(LoadError::Mistakes(report)) => format!("{} errors", report.problems.len()),
            Self::Configuration(other) => other.to_string(),
            Self::Certificates(error) => return format!("the certificate on disk is not shown ({error})"),
        };
        format!("the configuration on disk is not in force ({summary}); nocache-gateway check says more")
    }
}

/// Files and what is in them; none where one cannot be read.
type Contents = Vec<(PathBuf, Option<Vec<u8>>)>;

impl Reloader {
    /// Prepares to follow the files of a configuration that is in force.
    pub fn new(overrides: Overrides, config: &Config, certificates: Vec<Arc<Certificates>>, status: Status) -> Self {
        let mut reloader = Self {
            overrides,
            certificates,
            status,
            seen: Vec::new(),
            once: Vec::new(),
            complaint: None,
            started: sections::in_force(config),
            proxy: config.upstream.proxy.clone(),
        };
        reloader.note(config);
        for source in &reloader.once {
            info!(
                file = source.path,
                "this is not a regular file: it was read once and is not followed"
            );
        }
        reloader.put_into_force(config);
        reloader
    }

    /// Notes what was read. From then on that file is followed, wherever it was found: if it goes away, its rules stay.
    fn note(&mut self, config: &Config) {
        let file = config.file.clone().or_else(|| self.overrides.file.clone());
        let (followed, once): (Vec<&Source>, Vec<&Source>) =
            config.sources.iter().partition(|source| source.is_followed);
        self.once = once.into_iter().cloned().collect();
        let read = |source: &Source| (PathBuf::from(&source.path), Some(source.text.clone().into_bytes()));
        self.seen = followed.into_iter().map(read).collect();
        if file.is_none() {
            // One that is not there yet may appear.
            self.seen = config::load::PLACES.map(|place| (PathBuf::from(place), None)).into();
        }
        self.seen.extend(
            self.certificates
                .iter()
                .flat_map(|certificates| certificates.followed()),
        );
        self.overrides.file = file;
    }

    /// Follows the files, on a thread of its own that ends with the process.
    pub fn follow(self, gateway: Arc<Gateway>, bell: Bell) -> io::Result<()> {
        let thread = thread::Builder::new().name("reload".to_owned());
        thread.spawn(move || self.run(&gateway, &bell)).map(drop)
    }

    fn run(mut self, gateway: &Gateway, bell: &Bell) {
        let mut watching = Watching::new(bell.clone());
        watching.follow(&self.seen);
        loop {
            let is_asked = bell.wait();
            self.status.begin_reading();
            let now: Contents = self
                .seen
                .iter()
                .map(|(path, _)| (path.clone(), files::contents(path)))
                .collect();
            let is_new = is_asked || now != self.seen;
            if is_new
                || self
                    .complaint
                    .as_ref()
                    .is_some_and(|complaint| complaint.is_of_configuration)
            {
                self.reload(gateway, now, is_new);
                watching.follow(&self.seen);
            }
            self.status.end_reading();
        }
    }

    /// `now` is what the files held just before. Whatever changes from there on is another change. Unless the occasion is new,
    /// the same mistakes are not reported again.
    fn reload(&mut self, gateway: &Gateway, now: Contents, is_new: bool) {
        let shown = self
            .certificates
            .iter()
            .try_for_each(|certificates| certificates.reload());
        let loaded = config::load(&self.overrides, Reading::Again(&self.once));
        let in_force = loaded.as_ref().ok().map(|config| {
            let default_action: &str = config.rules.default_rule().action.into();
            (config.file.clone(), config.rules.rules().len(), default_action)
        });
        let complaint = match loaded {
            Ok(config) => {
                self.note(&config);
                self.put_into_force(&config);
                gateway.set_rules(config.rules);
                shown.err().map(Complaint::Certificates)
            }
            Err(error) => {
                self.seen = now;
                Some(Complaint::Configuration(error))
            }
        };
        let summary = complaint.as_ref().map(Complaint::summary);
        self.status.change(|facts| {
            facts.complaint.clone_from(&summary);
            if is_new {
                facts.last_reload = Some(Reload::now(summary));
            }
        });
        if is_new {
            gateway.count_reload(complaint.is_none());
        }
        if let Some((file, rules, default_action)) = in_force {
            let file = file.as_ref().map(|file| field::display(file.display()));
            info!(file, rules, default_action, "configuration reloaded");
        }
        let complaint = complaint.map(|complaint| Known {
            is_of_configuration: matches!(complaint, Complaint::Configuration(_)),
            text: complaint.to_string(),
        });
        if let Some(complaint) = complaint.as_ref().filter(|_| is_new || self.complaint != complaint) {
            error!("{}", complaint.text);
        }
        self.complaint = complaint;
    }

    /// Says what is in force from now on, and warns as `check` would.
    fn put_into_force(&self, config: &Config) {
        let report = warnings::warnings(config);
        let warnings = report.problems.len();
        if warnings > 0 {
            warn!(warnings, "the configuration has warnings:\n{report}\n");
        }
        let in_force = sections::in_force(config);
        let needs_restart = self.what_needs_a_restart(config, &in_force);
        if !needs_restart.is_empty() {
            warn!(
                settings = needs_restart.join(", "),
                "these settings changed, but take effect only at the next start"
            );
        }
        let settings = in_force.into_iter().zip(&self.started);
        let settings: Vec<InForce> = settings
            .map(|(now, started)| if now.is_live { now } else { started.clone() })
            .collect();
        let shown = shown::to_json(config.file.as_deref(), &settings, &config.rules, SHOWN_RULES);
        let warned = report.problems.iter().map(|problem| mask(&problem.message));
        self.status.change(|facts| {
            facts.generation += 1;
            facts.warnings = warned.collect();
            facts.needs_restart = needs_restart;
            facts.config = Arc::new(shown);
        });
    }

    /// Only rules are swapped: listeners, limits and the like are what the process began with.
    fn what_needs_a_restart(&self, config: &Config, in_force: &[InForce]) -> Vec<String> {
        in_force
            .iter()
            .zip(&self.started)
            .filter(|(now, started)| {
                let is_other_proxy = now.path == "upstream.proxy" && config.upstream.proxy != self.proxy;
                (now.value != started.value || is_other_proxy) && !now.is_live
            })
            .map(|(now, _)| now.path.clone())
            .collect()
    }
}

/// Wakes the reloader. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<(Mutex<Rung>, Condvar)>);

#[derive(Debug, Default)]
struct Rung {
    is_asked: bool,
    has_changed: bool,
}

impl Bell {
    /// Asks for a reload, whatever the files hold.
    pub fn ask(&self) {
        self.0.0.lock().is_asked = true;
        self.0.1.notify_one();
    }

    /// Says that a file has changed.
    fn change(&self) {
        self.0.0.lock().has_changed = true;
        self.0.1.notify_one();
    }

    /// Waits until the files are to be read: when that is asked for; when they have changed and are quiet, but not later
    /// than `LATEST` after the first change; and without any event after `COMPARE`. Returns whether it was asked for.
    fn wait(&self) -> bool {
        let (rung, condvar) = &*self.0;
        let mut rung = rung.lock();
        let mut due = Instant::now() + COMPARE;
        let mut latest = None;
        loop {
            if std::mem::take(&mut rung.has_changed) {
                let now = Instant::now();
                due = (now + QUIET).min(*latest.get_or_insert(now + LATEST));
            }
            if rung.is_asked || Instant::now() >= due {
                return std::mem::take(&mut rung.is_asked);
            }
            condvar.wait_until(&mut rung, due);
        }
    }
}

/// The system's file events, for the folders of some files.
struct Watching {
    /// None where the system offers none: then contents are compared alone.
    watcher: Option<notify::RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    names: Names,
}

/// The names of the followed files, without their folders.
type Names = Arc<Mutex<BTreeSet<OsString>>>;

impl Watching {
    fn new(bell: Bell) -> Self {
        let names = Names::default();
        let followed = names.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // A read is not a change; reacting to our own reads would never end.
            if event
                .is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(|path| concerns(path, &followed)))
            {
                bell.change();
            }
        });
        if let Err(error) = &watcher {
            debug!("file events are not to be had ({error}): contents are compared every {COMPARE:?}");
        }
        Self {
            watcher: watcher.ok(),
            folders: BTreeSet::new(),
            names,
        }
    }

    /// Watches the folders that the files lie in, and those that symbolic links lead to.
    fn follow(&mut self, files: &Contents) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let places: Vec<PathBuf> = files.iter().flat_map(|(path, _)| places(path)).collect();
        *self.names.lock() = places
            .iter()
            .filter_map(|path| path.file_name().map(OsString::from))
            .collect();
        let wanted: BTreeSet<PathBuf> = places.iter().map(|path| folder(path)).collect();
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

/// Whether an event about a path can be about a followed file. One about another file in the same folder is not: the log
/// of this process may be there, and each of its lines is an event. A link or a folder may lead to a followed file.
fn concerns(path: &Path, followed: &Names) -> bool {
    let is_followed = path.file_name().is_some_and(|name| followed.lock().contains(name));
    is_followed || !fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// Where a file is, by its name and by its links.
fn places(path: &Path) -> impl Iterator<Item = PathBuf> {
    [Some(path.to_owned()), fs::canonicalize(path).ok()]
        .into_iter()
        .flatten()
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
