//! What `benches/` measure of the log: a submission's record, on its way from the thread that serves to the queue.

use std::time::Duration;

use http::{Method, StatusCode};

use super::{log_queue::LogQueue, logging};
use crate::{
    config::{Log, LogFormat, LogLevel},
    observe::{Record, log, record::Decided},
    rewrite::Decision,
    rules::{Action, Via},
    submission::{CaptchaNames, Dialect, Endpoint, Host},
};

/// The log, as it is by default, with a record to write and nobody who empties its queue.
pub struct LoggedSubmission {
    log: log::Log,
    queue: LogQueue,
    record: Record,
}

impl LoggedSubmission {
    /// Begins to log in this process: only once.
    pub fn begin() -> Self {
        let queue = LogQueue::default();
        logging::begin(
            Log {
                level: LogLevel::Info,
                format: LogFormat::Json,
            },
            queue.clone(),
        );
        let record = Record {
            peer: Some([127, 0, 0, 1].into()),
            method: Some(Method::POST),
            path: "/createTask".into(),
            endpoint: Endpoint::CreateTask,
            dialect: Some(Dialect::CreateTask),
            captcha: Some(CaptchaNames::default().of_type("RecaptchaV2Task", false)),
            site: Some(Host::as_written("shop.example")),
            decided: Some(Decided {
                decision: Decision::Set,
                action: Some(Action::Add),
                rule: Some("shop".into()),
                via: Some(Via::Parameter),
                reason: None,
                near: None,
                detail: None,
            }),
            status: Some(StatusCode::OK),
            upstream_status: Some(StatusCode::OK),
            took: Duration::from_millis(25),
            upstream: Some(Duration::from_millis(24)),
            bytes_in: 350,
            bytes_out: 30,
            ..Record::with_new_id()
        };
        Self {
            log: log::Log::default(),
            queue,
            record,
        }
    }

    /// Logs the record.
    pub fn log(&self) {
        self.log.observe(&self.record);
    }

    /// Empties the queue. Returns what was in it.
    pub fn empty(&self) -> Vec<u8> {
        self.queue.waiting()
    }
}
