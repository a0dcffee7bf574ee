//! The ledger: what became of each task, and per site and arm (nocache on or off) what became of all of them. It says whether
//! nocache helps, and what it costs in time. It only observes, and holds no key, no token and no query.
//!
//! # Layout
//! - [`observer`]: from records to the book, at a time that [`clock`] tells
//! - [`book`]: tasks for 15 minutes, then only their [`sums`]; [`solve_times`]: a distribution
//! - [`store`]: a file that holds it beyond the end of the process; [`changes`]: what it is given; [`keeper`]: the thread that
//!   gives it
//! - [`pace`]: which polls come too early
//! - [`stats`]: the sums of some hours per site and arm

mod book;
mod changes;
mod clock;
mod keeper;
mod observer;
mod pace;
mod solve_times;
mod stats;
mod store;
mod sums;

pub use book::{End, Task};
pub use clock::Offset;
pub use keeper::Keeper;
pub use observer::{Ledger, Settings};
pub use pace::Pace;
pub use stats::{Line, Stats};
