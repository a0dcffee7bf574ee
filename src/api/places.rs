//! The places of requests in flight.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::StatusCode;

use super::error_response::{ErrorResponse, SERVICE_NOT_AVAILABLE};
use crate::observe::Cause;

/// The places. A request with a small body takes one when the body is there; one with a large body takes it at once, and
/// may keep it for as long as the body takes to arrive, so these can have a quarter of the places.
#[derive(Debug)]
pub struct Places {
    all: Seats,
    arriving: Seats,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    _seat: Seat,
    arriving: Option<Arriving>,
}

/// One of the quarter for bodies that are still arriving, until it is dropped.
pub type Arriving = Seat;

impl Places {
    /// So many places.
    pub fn new(count: usize) -> Self {
        Self {
            all: Seats::new(count),
            arriving: Seats::new(count.div_ceil(4)),
        }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.all.taken.load(Ordering::Relaxed)
    }

    /// Takes a place for a request whose body is there, or refuses at once: a queue would outlive the client's patience, and
    /// the task would be paid for nothing.
    pub fn take(&self) -> Result<Place, ErrorResponse> {
        Ok(Place {
            _seat: self.all.take()?,
            arriving: None,
        })
    }

    /// Takes a place for a request whose body is still arriving.
    pub fn take_arriving(&self) -> Result<Place, ErrorResponse> {
        Ok(Place {
            arriving: Some(self.arriving.take()?),
            _seat: self.all.take()?,
        })
    }
}

impl Place {
    /// Takes what counts it among the quarter, which ends when the returned value is dropped: once the body has arrived.
    /// Returns `None` if it was taken before.
    pub fn arriving(&mut self) -> Option<Arriving> {
        self.arriving.take()
    }
}

/// A number of seats. Nobody waits for one, so this is less than a semaphore.
#[derive(Debug)]
struct Seats {
    count: usize,
    taken: Arc<AtomicUsize>,
}

/// A seat, until it is dropped.
#[derive(Debug)]
pub struct Seat(Arc<AtomicUsize>);

impl Seats {
    fn new(count: usize) -> Self {
        Self {
            count,
            taken: Arc::default(),
        }
    }

    fn take(&self) -> Result<Seat, ErrorResponse> {
        let next = |taken| (taken < self.count).then_some(taken + 1);
        match self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(_) => Ok(Seat(self.taken.clone())),
            Err(_) => Err(ErrorResponse::new(
                StatusCode::SERVICE_UNAVAILABLE,
                SERVICE_NOT_AVAILABLE,
                Cause::Overload,
                "too many requests are in flight ([server] max_in_flight); nothing was sent on",
            )),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
