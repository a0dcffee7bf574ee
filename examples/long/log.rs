//! The gateway's log: a pipe that is read for a while, left unread for a while, and counted.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::{
    io::{BufReader, Lines},
    process::ChildStderr,
    sync::watch,
    task::JoinHandle,
};

use super::Result;

/// The lines of a log that are still to be read.
pub type LogLines = Lines<BufReader<ChildStderr>>;

/// A log that is being read, unless it is told not to be.
pub struct Log {
    is_read: watch::Sender<bool>,
    counts: Arc<Counts>,
    reader: JoinHandle<()>,
}

/// What was read of a log.
#[derive(Default)]
pub struct Counts {
    /// All lines.
    pub lines: AtomicUsize,
    /// Those about a submission.
    pub submissions: AtomicUsize,
    /// How many lines are missing, as the log itself says.
    pub dropped: AtomicUsize,
}

impl Log {
    /// Begins to read what is left of a log.
    pub fn read(mut lines: LogLines) -> Self {
        let (is_read, mut may_read) = watch::channel(true);
        let counts = Arc::<Counts>::default();
        let counted = counts.clone();
        let reader = tokio::spawn(async move {
            // The sender lives as long as the gateway.
            while may_read.wait_for(|is_read| *is_read).await.is_ok() {
                let Ok(Some(line)) = lines.next_line().await else {
                    return;
                };
                counted.note(&line);
            }
        });
        Self {
            is_read,
            counts,
            reader,
        }
    }

    /// Reads on, or leaves the log unread.
    pub fn set_read(&self, is_read: bool) {
        self.is_read.send_replace(is_read);
    }

    /// Reads the log of a gateway that ends to its end.
    pub async fn end(&mut self) -> Result<&Counts> {
        self.set_read(true);
        (&mut self.reader).await?;
        Ok(&self.counts)
    }
}

impl Counts {
    fn note(&self, line: &str) {
        self.lines.fetch_add(1, Relaxed);
        self.submissions
            .fetch_add(line.contains(r#""message":"submission""#).into(), Relaxed);
        let dropped = line.split(r#""dropped":"#).nth(1).and_then(|rest| {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..digits].parse().ok()
        });
        self.dropped.fetch_add(dropped.unwrap_or(0), Relaxed);
    }
}
