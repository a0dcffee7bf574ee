//! What is known of the process and its configuration.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::observe::time::{rfc3339, unix_millis};

/// What is known of the process and its configuration. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<Facts>>);

/// What is known. No secret is in it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Whether it is stopping.
    pub is_stopping: bool,
    /// What on disk is not in force, in one line.
    pub complaint: Option<String>,
    /// The warnings about the configuration in force.
    pub warnings: Vec<String>,
    /// How often a configuration was put into force; 1 from the start.
    pub generation: u64,
    /// The last reload that was tried.
    pub last_reload: Option<Reload>,
    /// Settings that have changed on disk, but take effect only at the next start.
    pub needs_restart: Vec<String>,
    /// The file and the settings in force, as `/config` responds.
    pub config: Arc<Value>,
    /// Where the API is mirrored.
    pub api_addresses: Vec<String>,
    /// Since when the files of the configuration are being read.
    reading: Option<Instant>,
}

/// A reload that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Why it changed nothing, in one line; `None` if it did.
    pub error: Option<String>,
}

impl Reload {
    /// A reload that ended now.
    pub fn now(error: Option<String>) -> Self {
        let at = unix_millis(SystemTime::now());
        Self { at, error }
    }
}

/// How long the files of the configuration may take to be read before that is said.
const SLOW: Duration = Duration::from_secs(10);

impl Status {
    /// Says that the gateway is stopping.
    pub fn stop(&self) {
        self.change(|facts| facts.is_stopping = true);
    }

    /// Changes what is known.
    pub fn change(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.0.lock());
    }

    /// What is known now.
    pub fn facts(&self) -> Facts {
        self.0.lock().clone()
    }

    /// Says that the files of the configuration are being read. On a mount that hangs that does not end.
    pub fn begin_reading(&self) {
        self.change(|facts| facts.reading = Some(Instant::now()));
    }

    /// Says that they have been read.
    pub fn end_reading(&self) {
        self.change(|facts| facts.reading = None);
    }
}

impl Facts {
    /// Whether reading the files of the configuration takes suspiciously long.
    pub fn reads_slowly(&self) -> bool {
        self.reading.is_some_and(|since| since.elapsed() > SLOW)
    }

    /// The state of the configuration, as JSON.
    pub fn config_state(&self) -> Value {
        json!({
            "file": self.config["file"],
            "generation": self.generation,
            "notInForce": self.complaint,
            "warnings": self.warnings,
            "needsRestart": self.needs_restart,
            "isBeingRead": self.reads_slowly(),
            "lastReload": self.last_reload.as_ref().map(|reload| json!({
                "at": rfc3339(reload.at),
                "error": reload.error,
            })),
        })
    }
}
