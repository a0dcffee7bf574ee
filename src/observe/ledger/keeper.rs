//! The thread that keeps the ledger in its file. It alone waits for the disk, but for who asks for statistics of weeks.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use tracing::{info, warn};

use super::{Ledger, observer::Saved, store::StoreError};

/// How often changes are saved. A process that is killed loses what came since.
const INTERVAL: Duration = Duration::from_millis(500);

/// How often a file that cannot be used is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// How long the start waits for what was saved, and the end for what was not saved yet.
const PATIENCE: Duration = Duration::from_secs(2);

/// The thread. When this is dropped, the last changes are saved, as far as the disk takes them in time.
#[derive(Debug)]
pub struct Keeper {
    stop: Option<Sender<()>>,
    ended: Receiver<()>,
}

impl Keeper {
    /// Starts it, if the ledger has a file, and waits a moment for what an earlier process saved there.
    pub fn start(ledger: Arc<Ledger>) -> io::Result<Option<Self>> {
        if ledger.saved().is_none() {
            return Ok(None);
        }
        let (stop, stopped) = mpsc::channel();
        let (opened, is_open) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        thread::Builder::new().name("ledger".to_owned()).spawn(move || {
            if let Some(saved) = ledger.saved() {
                keep(&ledger, saved, &stopped, opened);
            }
            drop(end);
        })?;
        // Later is late, but not lost.
        let _ = is_open.recv_timeout(PATIENCE);
        Ok(Some(Self {
            stop: Some(stop),
            ended,
        }))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.ended.recv_timeout(PATIENCE);
    }
}

/// Until it is told to stop. `opened` is dropped once the file was tried.
fn keep(ledger: &Ledger, saved: &Saved, stopped: &Receiver<()>, opened: Sender<()>) {
    let mut opened = Some(opened);
    let mut is_open = false;
    loop {
        let result = match is_open {
            true => ledger.save(saved),
            false => ledger.load(saved),
        };
        is_open |= result.is_ok();
        drop(opened.take());
        let pause = if result.is_ok() { INTERVAL } else { RETRY };
        tell(saved, result.err());
        if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
    if is_open && let Err(error) = ledger.save(saved) {
        warn!("what the ledger counted last is not saved: {error}");
    }
}

/// Logs when it begins to fail, and when that has ended.
fn tell(saved: &Saved, error: Option<StoreError>) {
    let error = error.map(|error| error.to_string());
    let mut failure = saved.failure.lock();
    match (&*failure, &error) {
        (before, Some(error)) if before.as_ref() != Some(error) => {
            warn!("{error}; the ledger goes on in memory, and the file is tried again");
        }
        (Some(_), None) => info!(file = %saved.store.file().display(), "the ledger is saved again"),
        _ => {}
    }
    *failure = error;
}
