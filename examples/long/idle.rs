//! Requests timed to hit the moment when the upstream closes what rests.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use rand::{RngExt, rngs::SmallRng};
use tokio::{task::JoinSet, time::sleep};

use super::{
    Result,
    stage::{Behaviour, Gateway, Kind, Tally, Upstream, send},
};

/// Requests in one burst. It is fewer than the connections that the gateway lets rest: each of them can meet the close.
const BURST: usize = 100;

/// How many submissions may be answered with an error because a connection at rest was closed just then.
const MOST_REFUSED: f64 = 1.0 / 10_000.0;

/// Runs waves of so many lanes, each with an upstream and a gateway of its own, and two bursts: the first opens connections, the
/// second meets their close. (After that the gateway has learned when they close, and there would be nothing to see.)
pub async fn run(rest: Duration, lanes: usize, waves: usize) -> Result<()> {
    timed(rest, lanes, waves, Kind::CreateTask, "submissions").await?;
    timed(rest, lanes, waves, Kind::Res, "polls").await
}

async fn timed(rest: Duration, lanes: usize, waves: usize, kind: Kind, name: &str) -> Result<()> {
    let tally = Arc::new(Tally::default());
    let (mut arrived, mut twice) = (0, 0);
    for _ in 0..waves {
        let mut running = JoinSet::new();
        for _ in 0..lanes {
            running.spawn(lane(rest, kind, tally.clone()));
        }
        for lane in running.join_all().await {
            let (arrived_in_lane, twice_in_lane) = lane?;
            arrived += arrived_in_lane;
            twice += twice_in_lane;
        }
    }
    let count = waves * lanes * BURST;
    let (refused, mixed) = (tally.refused.load(Relaxed), tally.mixed.load(Relaxed));
    println!(
        "| {} s | {count} {name} | {} | {refused} | {mixed} | {arrived} | {twice} |",
        rest.as_secs(),
        tally.answered.load(Relaxed),
    );
    let is_paid = matches!(kind, Kind::CreateTask);
    if twice > 0 || mixed > 0 || is_paid && refused as f64 > count as f64 * MOST_REFUSED {
        return Err("a request was sent twice, or answers were mixed, or too many refused".into());
    }
    Ok(())
}

async fn lane(rest: Duration, kind: Kind, tally: Arc<Tally>) -> Result<(usize, usize)> {
    let upstream = Upstream::start(Behaviour {
        rest,
        delay: Duration::ZERO,
        faults: 0,
    })
    .await?;
    let gateway = Gateway::start(&upstream, "").await?;
    // As a client without a gateway has it: a connection for each request.
    let client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()?;
    let mut random: SmallRng = rand::make_rng();
    // So that not all lanes burst at the same time.
    sleep(rest.mul_f64(random.random())).await;
    for _ in 0..2 {
        let mut burst = JoinSet::new();
        for _ in 0..BURST {
            let (client, url, tally) = (client.clone(), gateway.url.clone(), tally.clone());
            burst.spawn(async move { tally.note(send(&client, &url, kind).await.0) });
        }
        burst.join_all().await;
        // Around the moment when the upstream closes.
        sleep(rest.saturating_sub(Duration::from_millis(20)) + Duration::from_millis(random.random_range(0..25))).await;
    }
    Ok(upstream.count())
}
