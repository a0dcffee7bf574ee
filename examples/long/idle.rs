//! Requests timed to hit the moment when the upstream closes what rests.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use rand::{RngExt, rngs::SmallRng};
use tokio::{task::JoinSet, time::sleep};

use super::{
    Result,
    stage::{Behaviour, Gateway, Kind, Tally, Upstream, client, send},
};

/// Requests in one burst. It is fewer than the connections that the gateway lets rest: each of them can meet the close.
const BURST: usize = 100;

/// As many lanes with submissions, and as many with polls, each with an upstream and a gateway of its own.
pub async fn run(rest: Duration, lanes: usize, bursts: usize) -> Result<()> {
    let mut twice = 0;
    for (kind, name) in [(Kind::CreateTask, "submissions"), (Kind::Res, "polls")] {
        let tally = Arc::new(Tally::default());
        let mut running = JoinSet::new();
        for _ in 0..lanes {
            running.spawn(lane(rest, bursts, kind, tally.clone()));
        }
        let (mut arrived, mut twice_here) = (0, 0);
        for lane in running.join_all().await {
            let (arrived_in_lane, twice_in_lane) = lane?;
            arrived += arrived_in_lane;
            twice_here += twice_in_lane;
        }
        println!(
            "| {} s | {name} | {} | {} | {} | {} | {arrived} | {twice_here} |",
            rest.as_secs(),
            lanes * bursts * BURST,
            tally.answered.load(Relaxed),
            tally.refused.load(Relaxed),
            tally.mixed.load(Relaxed),
        );
        twice += twice_here;
    }
    match twice {
        0 => Ok(()),
        _ => Err("a request was sent twice".into()),
    }
}

async fn lane(rest: Duration, bursts: usize, kind: Kind, tally: Arc<Tally>) -> Result<(usize, usize)> {
    let upstream = Upstream::start(Behaviour {
        rest,
        delay: Duration::ZERO,
        faults: 0,
    })
    .await?;
    let gateway = Gateway::start(&upstream, "").await?;
    let client = client()?;
    let mut random: SmallRng = rand::make_rng();
    // So that not all lanes burst at the same time.
    sleep(rest.mul_f64(random.random())).await;
    for _ in 0..bursts {
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
