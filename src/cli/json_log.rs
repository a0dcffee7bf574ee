//! The log as JSON, one object per line. An event goes into one buffer, without a map or a string in between: the thread that
//! serves does this for every submission.

use std::{cell::RefCell, fmt, io::Write};

use serde::Serializer;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    fmt::{
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::Context,
};

use super::log_queue::LogQueue;

/// Writes events to the log's queue.
pub struct JsonLog(pub LogQueue);

/// The largest buffer that a thread keeps for its next line, in bytes.
const KEPT: usize = 64 << 10;

thread_local! {
    static LINE: RefCell<Line> = const { RefCell::new(Line(Vec::new())) };
}

impl<S: Subscriber> Layer<S> for JsonLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => self.write(&mut line, event),
            // A value logs while it is shown, or panics.
            Err(_) => self.write(&mut Line(Vec::new()), event),
        });
    }
}

impl JsonLog {
    fn write(&self, line: &mut Line, event: &Event<'_>) {
        line.event(event);
        self.0.add(&line.0);
        if line.0.capacity() > KEPT {
            line.0 = Vec::new();
        }
    }
}

/// A line that is being made.
struct Line(Vec<u8>);

impl Line {
    fn event(&mut self, event: &Event<'_>) {
        self.0.clear();
        self.raw("{\"timestamp\":\"");
        // It consists of digits and the signs between them.
        let _infallible = SystemTime.format_time(&mut Writer::new(self));
        self.raw("\",\"level\":\"");
        self.raw(event.metadata().level().as_str());
        self.raw("\"");
        event.record(self);
        self.raw("}\n");
    }

    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// The names of fields are the program's own, and need no escapes.
    fn name(&mut self, field: &Field) {
        self.raw(",\"");
        self.raw(field.name());
        self.raw("\":");
    }

    /// A value that needs no escapes.
    fn number(&mut self, field: &Field, value: impl fmt::Display) {
        self.name(field);
        let _infallible = write!(self.0, "{value}");
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.raw(text);
        Ok(())
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        let _infallible = serde_json::Serializer::new(&mut self.0).serialize_str(value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        let before = self.0.len();
        if serde_json::Serializer::new(&mut self.0)
            .collect_str(&format_args!("{value:?}"))
            .is_err()
        {
            // The value's own formatting failed.
            self.0.truncate(before);
            self.raw("null");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// The lines that are logged meanwhile.
    fn logged(log: impl FnOnce()) -> Vec<Value> {
        let queue = LogQueue::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(JsonLog(queue.clone())), log);
        let lines = String::from_utf8(queue.waiting()).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn an_event_is_one_line_of_json_with_its_fields_in_order() {
        let queue = LogQueue::default();
        let none: Option<&str> = None;
        tracing::subscriber::with_default(tracing_subscriber::registry().with(JsonLog(queue.clone())), || {
            tracing::info!(id = %"r1", took_ms = 5_u64, offset = -1_i64, ok = true, none, path = "/a", "a message");
        });
        let line = String::from_utf8(queue.waiting()).unwrap();
        let (timestamp, rest) = line.split_once("\",\"level\"").unwrap();
        assert_eq!(
            rest,
            ":\"INFO\",\"message\":\"a message\",\"id\":\"r1\",\"took_ms\":5,\"offset\":-1,\"ok\":true,\"path\":\"/a\"}\n"
        );
        let timestamp = timestamp.strip_prefix("{\"timestamp\":\"").unwrap();
        // RFC 3339, in UTC, with microseconds.
        assert_eq!(timestamp.len(), "2026-11-26T03:45:41.206587Z".len(), "{timestamp}");
        assert!(
            timestamp.ends_with('Z') && timestamp.as_bytes()[10] == b'T',
            "{timestamp}"
        );
    }

    #[test]
    fn what_json_escapes_is_escaped_in_every_kind_of_value() {
        let odd = "\"\\\n\r\t\u{0}\u{1b}\u{7f}\u{2028}é";
        let lines = logged(|| {
            tracing::warn!(text = odd, shown = %odd, debugged = ?odd, "{odd}");
        });
        assert_eq!(lines.len(), 1);
        for (name, expected) in [
            ("message", odd.to_owned()),
            ("text", odd.to_owned()),
            ("shown", odd.to_owned()),
            ("debugged", format!("{odd:?}")),
        ] {
            assert_eq!(lines[0][name], json!(expected), "{name}");
        }
    }
}
