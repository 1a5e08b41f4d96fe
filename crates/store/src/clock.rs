//! The store's clock, by which leases expire: never steps back, whatever the machine's clock does.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::Micros;

/// Answers microseconds since some fixed moment.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> Micros + Send + Sync>);

impl Clock {
    /// Time as it passes.
    pub(crate) fn monotonic() -> Self {
        let start = Instant::now();
        Self::new(move || Micros::try_from(start.elapsed().as_micros()).unwrap_or(Micros::MAX))
    }

    /// Time as a test wants it.
    pub(crate) fn new(now: impl Fn() -> Micros + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> Micros {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
