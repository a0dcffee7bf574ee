//! The places of requests in flight.

use std::sync::Arc;

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error_response::{ErrorResponse, SERVICE_NOT_AVAILABLE};
use crate::observe::Cause;

/// The places. A request with a small body takes one when the body is there; one with a large body takes it at once, and
/// may keep it for as long as the body takes to arrive, so these can have a quarter of the places.
#[derive(Debug)]
pub struct Places {
    count: usize,
    all: Arc<Semaphore>,
    arriving: Arc<Semaphore>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
    arriving: Option<Arriving>,
}

/// One of the quarter for bodies that are still arriving, until it is dropped.
pub type Arriving = OwnedSemaphorePermit;

impl Places {
    /// So many places.
    pub fn new(count: usize) -> Self {
        Self {
            count,
            all: Arc::new(Semaphore::new(count)),
            arriving: Arc::new(Semaphore::new(count.div_ceil(4))),
        }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.count - self.all.available_permits()
    }

    /// Takes a place for a request whose body is there, or refuses at once: a queue would outlive the client's patience, and
    /// the task would be paid for nothing.
    pub fn take(&self) -> Result<Place, ErrorResponse> {
        Ok(Place {
            _permit: permit(&self.all)?,
            arriving: None,
        })
    }

    /// Takes a place for a request whose body is still arriving.
    pub fn take_arriving(&self) -> Result<Place, ErrorResponse> {
        Ok(Place {
            arriving: Some(permit(&self.arriving)?),
            _permit: permit(&self.all)?,
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

fn permit(semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ErrorResponse> {
    semaphore.clone().try_acquire_owned().map_err(|_| {
        ErrorResponse::new(
            StatusCode::SERVICE_UNAVAILABLE,
            SERVICE_NOT_AVAILABLE,
            Cause::Overload,
            "too many requests are in flight ([server] max_in_flight); nothing was sent on",
        )
    })
}
