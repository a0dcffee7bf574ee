//! Long runs against the real program, not part of CI. `tests/long` builds and starts them.
//!
//! - `idle SECONDS LANES WAVES`: an upstream that closes connections after so many seconds at rest, and bursts of requests
//!   timed to hit that moment
//! - `overload`: twice the load that the gateway carries
//! - `soak MINUTES`: mixed traffic at half of the measured maximum, with random faults, an upstream that drops all
//!   connections every ten seconds, a reload a second, slow senders, clients that leave, and a log that nobody reads for
//!   half of the time
//!
//! The upstream speaks TLS, as the vendor's does. Each request carries a mark, and its answer must carry the same one.

mod idle;
mod log;
mod odd_clients;
mod overload;
mod soak;
mod stage;

use std::{error::Error, time::Duration};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    // Both sides of thousands of connections are in this process or its child.
    rlimit::increase_nofile_limit(u64::MAX)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["idle", seconds, lanes, waves] => {
            idle::run(Duration::from_secs(seconds.parse()?), lanes.parse()?, waves.parse()?).await
        }
        ["overload"] => overload::run().await,
        ["soak", minutes] => soak::run(Duration::from_secs_f64(minutes.parse::<f64>()? * 60.0)).await,
        _ => Err("usage: idle SECONDS LANES WAVES | overload | soak MINUTES".into()),
    }
}
