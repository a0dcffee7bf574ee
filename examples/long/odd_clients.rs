//! Clients that no library makes: half-closed ones, ones that leave, and slow senders.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};

use super::stage::{Fate, Tally, create_task, next_mark};

/// How many send a body of 1 KiB slowly, and how many one of 1 MiB.
pub const SMALL: usize = 2000;
pub const LARGE: usize = 8;

/// A slow body comes in so many chunks, with 1.5 to 3.5 s between two: 40 s in all, of the 60 s that a body may take.
const CHUNKS: usize = 16;

/// How long the others wait between two requests.
const PAUSE: Duration = Duration::from_millis(50);

/// What became of them.
#[derive(Default)]
pub struct Odd {
    pub half_closed: Tally,
    pub small: Tally,
    pub large: Tally,
    /// How many left before their response.
    pub left: AtomicUsize,
    /// How many submissions they began.
    pub begun: AtomicUsize,
    /// The rules that decided about the half-closed ones: each reload has one of its own.
    rules: Mutex<BTreeSet<String>>,
}

impl Odd {
    /// How many of their submissions had a response.
    pub fn ended(&self) -> usize {
        let tallies = [&self.half_closed, &self.small, &self.large];
        tallies.into_iter().map(Tally::total).sum()
    }

    /// How many configurations decided, as far as responses told.
    pub fn configurations(&self) -> usize {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Starts all of them. They go on until the set is dropped.
pub fn start(address: &str) -> (Arc<Odd>, JoinSet<()>) {
    let odd = Arc::<Odd>::default();
    let mut clients = JoinSet::new();
    let address: Arc<str> = address.into();
    clients.spawn(half_close(address.clone(), odd.clone()));
    clients.spawn(leave(address.clone(), odd.clone()));
    for number in 0..SMALL {
        clients.spawn(drip(address.clone(), odd.clone(), 1 << 10, number));
    }
    for number in 0..LARGE {
        clients.spawn(drip(address.clone(), odd.clone(), 1 << 20, number));
    }
    (odd, clients)
}

async fn half_close(address: Arc<str>, odd: Arc<Odd>) {
    loop {
        let one = async {
            let (mark, head, body) = submission(1 << 10);
            let mut stream = TcpStream::connect(&*address).await?;
            odd.begun.fetch_add(1, Relaxed);
            stream.write_all(&[head, body].concat()).await?;
            stream.shutdown().await?;
            let response = response(&mut stream).await?;
            if let Some(rule) = response
                .split(";rule=")
                .nth(1)
                .and_then(|rest| rest.split_whitespace().next())
            {
                odd.rules
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(rule.to_owned());
            }
            Ok(fate(&response, mark))
        };
        odd.half_closed.note(refused_if_lost(one.await));
        sleep(PAUSE).await;
    }
}

/// Leaves within the body, with the request just sent, or a little later; by a close, or by a reset.
async fn leave(address: Arc<str>, odd: Arc<Odd>) {
    let mut random = SmallRng::seed_from_u64(1);
    loop {
        let one = async {
            let (_, head, body) = submission(1 << 10);
            let sent = if random.random() { body.len() } else { body.len() / 2 };
            let mut stream = TcpStream::connect(&*address).await?;
            odd.begun.fetch_add(1, Relaxed);
            stream.write_all(&[&head, &body[..sent]].concat()).await?;
            sleep(Duration::from_millis(random.random_range(0..30))).await;
            if random.random() {
                stream.set_zero_linger()?;
            }
            odd.left.fetch_add(1, Relaxed);
            Ok(())
        };
        // A connection that could not be made, or ended early, is as good as left.
        let _: std::io::Result<()> = one.await;
        sleep(PAUSE).await;
    }
}

/// Sends one body after the other, each slowly.
async fn drip(address: Arc<str>, odd: Arc<Odd>, length: usize, number: usize) {
    let tally = if length > 1 << 16 { &odd.large } else { &odd.small };
    let mut random = SmallRng::seed_from_u64(number as u64);
    // All are there after 5 s, and the large ones are not all at the same byte.
    sleep(Duration::from_millis(5000 * number as u64 / SMALL as u64)).await;
    loop {
        let one = async {
            let (mark, head, body) = submission(length);
            let mut stream = TcpStream::connect(&*address).await?;
            odd.begun.fetch_add(1, Relaxed);
            stream.write_all(&head).await?;
            for chunk in body.chunks(length / CHUNKS) {
                stream.write_all(chunk).await?;
                sleep(Duration::from_millis(random.random_range(1500..3500))).await;
            }
            Ok(fate(&response(&mut stream).await?, mark))
        };
        tally.note(refused_if_lost(one.await));
        sleep(PAUSE).await;
    }
}

/// A submission: its mark, its head and a body of this length.
fn submission(length: usize) -> (usize, Vec<u8>, Vec<u8>) {
    let mark = next_mark();
    let plain = create_task(mark, "");
    let padding = length.saturating_sub(plain.len() + r#","body":"""#.len());
    let body = create_task(mark, &format!(r#","body":"{}""#, "A".repeat(padding)));
    let head = format!(
        "POST /createTask HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (mark, head.into_bytes(), body.into_bytes())
}

/// The response, as it ends with its connection.
async fn response(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await?;
    Ok(String::from_utf8_lossy(&response).into_owned())
}

fn refused_if_lost(fate: std::io::Result<Fate>) -> Fate {
    fate.unwrap_or(Fate::Refused)
}

fn fate(response: &str, mark: usize) -> Fate {
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((response, ""));
    match body {
        _ if !head.starts_with("HTTP/1.1 200 ") => Fate::Refused,
        _ if body == format!("{mark:010}") => Fate::Answered,
        // It was cut off, which HTTP shows by its length.
        _ if body.len() < 10 => Fate::Refused,
        _ => Fate::Mixed,
    }
}
