//! Elsewhere: std's monotonic clock, one tick a nanosecond.

use std::sync::OnceLock;
use std::time::Instant;

static START: OnceLock<Instant> = OnceLock::new();

/// Nanoseconds since the first reading.
pub fn ticks() -> u64 {
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}
