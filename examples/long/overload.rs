//! Twice the load that the gateway carries.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    Result,
    stage::{Behaviour, Fate, Gateway, Kind, Upstream, client, send},
};

/// How many requests the gateway takes at once, and how long each of them takes at the upstream: what it carries is known.
const IN_FLIGHT: usize = 64;
const DELAY: Duration = Duration::from_millis(50);

const SECONDS: u64 = 10;

pub async fn run() -> Result<()> {
    let upstream = Upstream::start(Behaviour {
        rest: Duration::from_secs(60),
        delay: DELAY,
        faults: 0,
    })
    .await?;
    let gateway = Gateway::start(&upstream, &format!("[server]\nmax_in_flight = {IN_FLIGHT}")).await?;
    println!("max_in_flight = {IN_FLIGHT}, an upstream that takes {DELAY:?}, {SECONDS} s each\n");
    println!(
        "| | offered a second | answered | p50, p99 | refused | p50, p99 | memory |\n|---|---|---|---|---|---|---|"
    );
    let carried = offer(
        &gateway,
        "as many clients as it takes at once",
        Load::Clients(IN_FLIGHT),
    )
    .await?;
    let twice = Load::EverySecond(2 * carried as u64 / SECONDS);
    for (name, load) in [
        ("twice as much", twice),
        ("2,000 clients that ask again at once", Load::Clients(2000)),
    ] {
        offer(&gateway, name, load).await?;
        sleep(Duration::from_secs(2)).await;
        let afterwards = offer(&gateway, "afterwards", Load::Clients(IN_FLIGHT)).await?;
        if afterwards < carried * 9 / 10 {
            return Err("afterwards it carries less".into());
        }
    }
    match upstream.count().1 {
        0 => Ok(()),
        twice => Err(format!("{twice} requests were sent twice").into()),
    }
}

#[derive(Clone, Copy)]
enum Load {
    /// Each sends its next request when the last is answered.
    Clients(usize),
    /// So many come, whatever becomes of those before them.
    EverySecond(u64),
}

/// Offers a load for a while, prints a row, and returns how many were answered.
async fn offer(gateway: &Gateway, name: &str, load: Load) -> Result<usize> {
    let client = client()?;
    let end = Instant::now() + Duration::from_secs(SECONDS);
    let url: Arc<str> = gateway.url.as_str().into();
    let mut running = JoinSet::new();
    match load {
        Load::Clients(count) => {
            for _ in 0..count {
                let (client, url) = (client.clone(), url.clone());
                running.spawn(async move {
                    let mut fates = Vec::new();
                    while Instant::now() < end {
                        fates.push(send(&client, &url, Kind::CreateTask).await);
                    }
                    fates
                });
            }
        }
        Load::EverySecond(count) => {
            const TICK: Duration = Duration::from_millis(5);
            let mut ticks = interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let (start, mut sent) = (Instant::now(), 0);
            while Instant::now() < end {
                ticks.tick().await;
                let due = (start.elapsed().as_secs_f64() * count as f64) as u64;
                for _ in sent..due {
                    let (client, url) = (client.clone(), url.clone());
                    running.spawn(async move { vec![send(&client, &url, Kind::CreateTask).await] });
                }
                sent = due;
            }
        }
    }
    let all = running.join_all().await.concat();
    let of = |wanted: Fate| {
        Latencies::of(
            all.iter()
                .filter(|(fate, _)| *fate == wanted)
                .map(|(_, took)| *took)
                .collect(),
        )
    };
    let (answered, refused) = (of(Fate::Answered), of(Fate::Refused));
    println!(
        "| {name} | {} | {answered} | {refused} | {} MiB |",
        all.len() as u64 / SECONDS,
        gateway.size()?.kib >> 10,
    );
    Ok(answered.0.len())
}

/// How long requests took, the shortest first.
struct Latencies(Vec<Duration>);

impl Latencies {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        Self(all)
    }

    fn percentile(&self, percent: usize) -> u128 {
        let at = self.0.len() * percent / 100;
        self.0.get(at).map_or(0, Duration::as_millis)
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "{count} | {}, {} ms", self.percentile(50), self.percentile(99))
    }
}
