//! The queue between the threads that log and the stream that the log goes to. Nobody may read that stream (a pipe that
//! is full, Ctrl-S in a terminal), and then a write to it takes for ever; so one thread does nothing but write, and what
//! finds no room in the queue is dropped and counted.

use std::{
    io::{ErrorKind, Write},
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use tracing::warn;
use tracing_subscriber::fmt::MakeWriter;

/// How many bytes of lines wait to be written at most.
const CAPACITY: usize = 1 << 20;

/// How long the writer pauses between two writes, so that it writes many lines at once when there are many.
const PAUSE: Duration = Duration::from_millis(10);

/// How long the end of the process waits for lines that are not written yet.
const FAREWELL: Duration = Duration::from_secs(1);

/// The queue. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LogQueue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Lines have come, or the end of the queue.
    filled: Condvar,
    /// All lines are written.
    drained: Condvar,
    /// Lines that nobody could read, in all.
    all_dropped: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    /// Whether the writer has lines that are not written yet.
    is_writing: bool,
    is_closed: bool,
    /// Lines that were dropped since that was last said.
    dropped: u64,
}

/// Writes what is left in the queue when it is dropped, as far as the stream takes it in time.
#[derive(Debug)]
pub struct Flush(LogQueue);

impl Flush {
    /// The number of lines that were dropped.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        self.0.0.all_dropped.clone()
    }
}

impl LogQueue {
    /// A queue whose lines a thread of its own writes to a stream.
    pub fn start(stream: impl Write + Send + 'static) -> std::io::Result<(Self, Flush)> {
        let queue = Self::default();
        let writer = queue.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.write_lines(stream))?;
        Ok((queue.clone(), Flush(queue)))
    }

    /// Adds a line, or drops it if there is no room.
    pub fn add(&self, line: &[u8]) {
        let mut state = self.0.state.lock();
        if state.lines.len() + line.len() > CAPACITY {
            state.dropped += 1;
            self.0.all_dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.lines.extend_from_slice(line);
        drop(state);
        self.0.filled.notify_one();
    }

    /// Whether a line that is added now is most likely not dropped.
    fn has_room(&self) -> bool {
        self.0.state.lock().lines.len() < CAPACITY / 2
    }

    /// The lines that wait, taken.
    pub fn waiting(&self) -> Vec<u8> {
        mem::take(&mut self.0.state.lock().lines)
    }

    fn write_lines(&self, mut stream: impl Write) {
        let mut batch = Vec::new();
        // Lines that nobody could read, as long as that is not said.
        let mut lost = 0;
        loop {
            let mut state = self.0.state.lock();
            state.is_writing = false;
            while state.lines.is_empty() {
                self.0.drained.notify_all();
                if state.is_closed {
                    return;
                }
                self.0.filled.wait(&mut state);
            }
            batch.clear();
            mem::swap(&mut state.lines, &mut batch);
            state.is_writing = true;
            lost += mem::take(&mut state.dropped);
            let is_closed = state.is_closed;
            drop(state);
            match write_whole(&mut stream, &batch) {
                Ok(()) if lost > 0 && self.has_room() => {
                    warn!(dropped = lost, "log lines were dropped, because nobody read the log");
                    lost = 0;
                }
                Ok(()) => {}
                Err(unwritten) => {
                    lost += unwritten;
                    self.0.all_dropped.fetch_add(unwritten, Ordering::Relaxed);
                }
            }
            if !is_closed {
                thread::sleep(PAUSE);
            }
        }
    }
}

/// Writes lines. If the stream fails, returns how many of them it did not take whole.
fn write_whole(stream: &mut impl Write, lines: &[u8]) -> Result<(), u64> {
    let mut rest = lines;
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(length @ 1..) => rest = &rest[length..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Whoever shares it made it non-blocking, and it is full.
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Ok(_) | Err(_) => return Err(memchr::memchr_iter(b'\n', rest).count() as u64),
        }
    }
    // A stream that fails here fails at the next lines, too.
    let _ = stream.flush();
    Ok(())
}

impl Drop for Flush {
    fn drop(&mut self) {
        let Shared {
            state, filled, drained, ..
        } = &*self.0.0;
        let deadline = Instant::now() + FAREWELL;
        let mut state = state.lock();
        state.is_closed = true;
        filled.notify_one();
        while (state.is_writing || !state.lines.is_empty()) && !drained.wait_until(&mut state, deadline).timed_out() {}
    }
}

/// Takes the lines of one event.
pub struct Lines<'q>(&'q LogQueue);

impl Write for Lines<'_> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'q> MakeWriter<'q> for LogQueue {
    type Writer = Lines<'q>;

    fn make_writer(&'q self) -> Lines<'q> {
        Lines(self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A stream that takes a write only when the test says so.
    struct Gate {
        open: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.open.recv().map_err(std::io::Error::other)?;
            self.written.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn gate() -> (mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>, Gate) {
        let (opener, open) = mpsc::channel();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        (opener, written.clone(), Gate { open, written })
    }

    #[test]
    fn a_stream_that_nobody_reads_stops_no_writer_and_bounds_the_queue() {
        let (opener, written, gate) = gate();
        let (queue, flush) = LogQueue::start(gate).unwrap();
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        // The thread holds this one, and waits for the stream, before the others come.
        queue.add(&line);
        while !queue.0.state.lock().is_writing {
            thread::yield_now();
        }
        for _ in 0..5000 {
            queue.add(&line);
        }
        let room = CAPACITY / line.len();
        assert_eq!(queue.0.state.lock().lines.len(), room * line.len());
        assert_eq!(flush.dropped().load(Ordering::Relaxed), 5000 - room as u64);
        // Without a reader the end is not late either.
        let began = Instant::now();
        drop(flush);
        assert!(began.elapsed() < 20 * FAREWELL);
        assert!(written.lock().is_empty());
        drop(opener);
    }

    #[test]
    fn what_has_room_is_written_whole_and_in_order() {
        let (opener, written, gate) = gate();
        let (queue, flush) = LogQueue::start(gate).unwrap();
        let mut expected = Vec::new();
        for number in 0..100 {
            let line = format!("line {number}\n");
            queue.add(line.as_bytes());
            expected.extend_from_slice(line.as_bytes());
            let _ = opener.send(());
        }
        drop(flush);
        assert_eq!(*written.lock(), expected);
    }

    #[test]
    fn a_stream_that_does_not_block_is_waited_for_and_one_that_fails_is_counted() {
        struct Stream(Vec<u8>, Vec<ErrorKind>);

        impl Write for Stream {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                if let Some(kind) = self.1.pop() {
                    return Err(kind.into());
                }
                let length = bytes.len().min(5);
                self.0.extend_from_slice(&bytes[..length]);
                self.1.push(ErrorKind::WouldBlock);
                Ok(length)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        let mut stream = Stream(Vec::new(), vec![ErrorKind::Interrupted, ErrorKind::WouldBlock]);
        assert_eq!(write_whole(&mut stream, b"one line\nand another\n"), Ok(()));
        assert_eq!(stream.0, b"one line\nand another\n");
        let mut full = Stream(Vec::new(), vec![ErrorKind::StorageFull]);
        assert_eq!(write_whole(&mut full, b"one line\nand another\n"), Err(2));
    }
}
