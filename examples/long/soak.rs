//! Mixed traffic for as long as wanted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::{task::JoinSet, time::sleep};

use super::{
    Result,
    odd_clients::{self, LARGE, SMALL},
    stage::{Behaviour, Gateway, KINDS, Size, Tally, Upstream, client, send},
};

const CLIENTS: usize = 16;

/// How long the maximum is measured.
const MEASURED: Duration = Duration::from_secs(10);

/// The longest time that the log is unread without a pause, and the longest that it is read.
const TURN: Duration = Duration::from_secs(150);

/// No request and no look at /readyz may take longer, read or unread.
const STALL: Duration = Duration::from_secs(2);

/// A shorter run ends before memory is as it stays: the slow senders have to come and to spread first.
const SETTLED: Duration = Duration::from_secs(300);

/// Lines that are written without a request or a reload: of the start, the stop, and of lines that were dropped.
const OTHER_LINES: usize = 100;

pub async fn run(duration: Duration) -> Result<()> {
    let upstream = Upstream::start(Behaviour {
        rest: Duration::from_secs(5),
        delay: Duration::ZERO,
        faults: 20,
    })
    .await?;
    let mut gateway = Gateway::start(&upstream, "").await?;
    let tally = Arc::new(Traffic::default());
    let before = traffic(&gateway, Duration::ZERO, MEASURED, &tally, |_| Ok(())).await?;
    let maximum = before as f64 / MEASURED.as_secs_f64();
    let pause = Duration::from_secs_f64(CLIENTS as f64 / (maximum / 2.0));
    let refused_before = tally.requests.refused.load(Relaxed);

    let (odd, odd_clients) = odd_clients::start(&gateway.api);
    let health = Arc::<Longest>::default();
    let watched = tokio::spawn(watch(gateway.admin.clone(), health.clone()));
    // Two turns of each at least.
    let turns = (duration.as_secs_f64() / TURN.as_secs_f64()).ceil().max(4.0);
    let turn = (duration.as_secs_f64() / turns).ceil() as usize;
    let mut sizes: Vec<Size> = Vec::new();
    let (mut restarts, mut reloads, mut unread) = (0, 0, 0);
    let sent = traffic(&gateway, pause, duration, &tally, |second| {
        let is_read = (second / turn) % 2 == 1;
        gateway.log.set_read(is_read);
        unread += usize::from(!is_read);
        gateway.reload("", second)?;
        reloads += 1;
        if second % 10 == 0 {
            sizes.push(gateway.size()?);
            upstream.restart();
            restarts += 1;
        }
        Ok(())
    })
    .await?;
    watched.abort();
    drop(odd_clients);
    let log = gateway.stop().await?;
    let (lines, dropped) = (log.lines.load(Relaxed), log.dropped.load(Relaxed));

    let count = |count: &AtomicUsize| count.load(Relaxed);
    let odd_tallies = [&odd.half_closed, &odd.small, &odd.large];
    let sum = |what: fn(&Tally) -> &AtomicUsize| odd_tallies.iter().map(|tally| count(what(tally))).sum::<usize>();
    let (arrived, twice) = upstream.count();
    let (answered, refused) = (count(&tally.requests.answered), count(&tally.requests.refused));
    let mixed = count(&tally.requests.mixed) + sum(|tally| &tally.mixed);
    let memory = Course::of(&sizes, |size| size.kib >> 10);
    let descriptors = Course::of(&sizes, |size| size.descriptors);
    let (request, readyz) = (tally.longest.get(), health.get());
    // A submission whose client left may have left no trace; every other one has left one line.
    let certain = count(&tally.submissions) + odd.ended();
    let begun = count(&tally.submissions) + count(&odd.begun);
    // A failed poll has a line of its own, and the end of an outage, too. A reload may be told twice.
    let most = begun + 2 * (refused + sum(|tally| &tally.refused)) + 2 * reloads + OTHER_LINES;
    let configurations = odd.configurations();
    let (half_closed, small, large) = (&odd.half_closed.answered, &odd.small.answered, &odd.large.answered);
    println!(
        "| {:.1} min | {:.0} of {maximum:.0} | {answered}, {refused} | {arrived} | {twice}, {mixed} | {:.0} | \
         {configurations}, {restarts} | {memory} | {descriptors} | {unread} s | {lines} + {dropped} of {certain} to {most} | \
         {request:.0?}, {readyz:.0?} | {}, {} | {SMALL}: {}, {LARGE}: {} |",
        duration.as_secs_f64() / 60.0,
        sent as f64 / duration.as_secs_f64(),
        100.0 - 100.0 * upstream.connections() as f64 / arrived as f64,
        count(half_closed),
        count(&odd.left),
        count(small),
        count(large),
    );
    let is_refused = |tally: &&Tally| count(&tally.refused) * 10 > tally.total();
    let grows = duration >= SETTLED && (memory.grows() || descriptors.grows());
    for (is_wrong, what) in [
        (
            twice > 0 || mixed > 0,
            "a request was sent twice, or answers were mixed",
        ),
        (arrived < answered, "a request was answered that did not arrive"),
        // The faults of the upstream and its restarts are 15 in a thousand requests.
        (
            (refused - refused_before) * 100 > sent * 3,
            "normal traffic did not go on",
        ),
        (
            odd_tallies.iter().any(is_refused),
            "half-closed clients or slow senders were refused",
        ),
        (
            count(small) < SMALL / 2 || count(large) < LARGE / 2,
            "slow senders were not served",
        ),
        (request > STALL || readyz > STALL, "requests or /readyz stalled"),
        (configurations < reloads / 2, "the file was not followed"),
        (dropped == 0, "an unread log lost nothing: it was not unread"),
        (
            lines + dropped < certain,
            "a line is missing, and not counted as dropped",
        ),
        (
            lines + dropped > most,
            "more lines were dropped than can have been written",
        ),
        (grows, "memory or descriptors grow"),
    ] {
        if is_wrong {
            return Err(what.into());
        }
    }
    Ok(())
}

/// What became of normal traffic.
#[derive(Default)]
struct Traffic {
    requests: Tally,
    /// How many of them were submissions.
    submissions: AtomicUsize,
    longest: Longest,
}

/// The longest of some times.
#[derive(Default)]
struct Longest(AtomicU64);

impl Longest {
    fn note(&self, took: Duration) {
        self.0.fetch_max(took.as_micros() as u64, Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Relaxed))
    }
}

/// Asks for /readyz ten times a second. Anything but "ready" counts as a stall.
async fn watch(admin: String, longest: Arc<Longest>) {
    let Ok(client) = client() else { return };
    loop {
        let start = Instant::now();
        let response = client.get(format!("http://{admin}/readyz")).send().await;
        longest.note(start.elapsed());
        if !response.is_ok_and(|response| response.status() == 200) {
            eprintln!("/readyz failed");
            longest.note(Duration::from_secs(999));
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Has all clients send for so long, one request each in `pause`, and does something every second; how many they sent.
async fn traffic(
    gateway: &Gateway,
    pause: Duration,
    duration: Duration,
    tally: &Arc<Traffic>,
    mut every_second: impl FnMut(usize) -> Result<()>,
) -> Result<usize> {
    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (url, tally, is_over) = (gateway.url.clone(), tally.clone(), is_over.clone());
        let client = client()?;
        clients.spawn(async move {
            let mut random = SmallRng::seed_from_u64(number as u64);
            let mut sent = 0;
            let mut next = Instant::now();
            while !is_over.load(Relaxed) {
                let kind = KINDS[random.random_range(0..KINDS.len())];
                let (fate, took) = send(&client, &url, kind).await;
                tally.requests.note(fate);
                tally.longest.note(took);
                tally.submissions.fetch_add(kind.is_submission().into(), Relaxed);
                sent += 1;
                // Of the pace, not of the pause: what took longer is made up for, but not what took very long.
                next =
                    (next + pause.mul_f64(random.random_range(0.5..1.5))).max(Instant::now() - Duration::from_secs(1));
                sleep(next.saturating_duration_since(Instant::now())).await;
            }
            sent
        });
    }
    let start = Instant::now();
    let mut second = 0;
    while start.elapsed() < duration {
        sleep(Duration::from_secs(1)).await;
        second += 1;
        every_second(second)?;
    }
    is_over.store(true, Relaxed);
    Ok(clients.join_all().await.into_iter().sum())
}

/// How a size went: the median of the first quarter and of the last, and the largest.
struct Course {
    first: usize,
    last: usize,
    most: usize,
}

impl Course {
    fn of(sizes: &[Size], what: impl Fn(&Size) -> usize) -> Self {
        let all: Vec<usize> = sizes.iter().map(what).collect();
        let quarter = all.len().div_ceil(4);
        let median = |part: &[usize]| {
            let mut part = part.to_vec();
            part.sort_unstable();
            part.get(part.len() / 2).copied().unwrap_or_default()
        };
        Self {
            first: median(&all[..quarter]),
            last: median(&all[all.len() - quarter..]),
            most: all.iter().copied().max().unwrap_or_default(),
        }
    }

    /// Whether it is clearly more at the end than at the beginning.
    fn grows(&self) -> bool {
        self.last > self.first + self.first / 4
    }
}

impl std::fmt::Display for Course {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} → {}, at most {}", self.first, self.last, self.most)
    }
}
