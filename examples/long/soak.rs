//! Mixed traffic for as long as wanted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::{task::JoinSet, time::sleep};

use super::{
    Result,
    stage::{Behaviour, Gateway, KINDS, Size, Tally, Upstream, client, send},
};

const CLIENTS: usize = 16;

/// How long the maximum is measured.
const MEASURED: Duration = Duration::from_secs(10);

pub async fn run(duration: Duration) -> Result<()> {
    let upstream = Upstream::start(Behaviour {
        rest: Duration::from_secs(5),
        delay: Duration::ZERO,
        faults: 20,
    })
    .await?;
    let gateway = Gateway::start(&upstream, "").await?;
    let tally = Arc::new(Tally::default());
    let before = traffic(&gateway, Duration::ZERO, MEASURED, &tally, |_| Ok(())).await?;
    let maximum = before as f64 / MEASURED.as_secs_f64();
    let pause = Duration::from_secs_f64(CLIENTS as f64 / (maximum / 2.0));

    let mut sizes: Vec<Size> = Vec::new();
    let mut restarts = 0;
    let sent = traffic(&gateway, pause, duration, &tally, |second| {
        gateway.reload("", second)?;
        if second % 10 == 0 {
            sizes.push(gateway.size()?);
            upstream.restart();
            restarts += 1;
        }
        Ok(())
    })
    .await?;

    let (arrived, twice) = upstream.count();
    let reloads = gateway.reloads();
    let mixed = tally.mixed.load(Relaxed);
    let memory = Course::of(&sizes, |size| size.kib >> 10);
    let descriptors = Course::of(&sizes, |size| size.descriptors);
    println!(
        "| {:.1} min | {maximum:.0} | {:.0} | {} | {} | {arrived} | {twice} | {mixed} | {:.0} | {reloads} | {restarts} | {memory} | {descriptors} |",
        duration.as_secs_f64() / 60.0,
        sent as f64 / duration.as_secs_f64(),
        tally.answered.load(Relaxed),
        tally.refused.load(Relaxed),
        100.0 - 100.0 * upstream.connections() as f64 / arrived as f64,
    );
    match () {
        () if twice > 0 || mixed > 0 => Err("a request was sent twice, or answers were mixed".into()),
        () if reloads < duration.as_secs() as usize / 2 => Err("the file was not followed".into()),
        () if memory.grows() || descriptors.grows() => Err("memory or descriptors grow".into()),
        () => Ok(()),
    }
}

/// Has all clients send for so long, one request each in `pause`, and does something every second; how many they sent.
async fn traffic(
    gateway: &Gateway,
    pause: Duration,
    duration: Duration,
    tally: &Arc<Tally>,
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
                tally.note(send(&client, &url, kind).await.0);
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
