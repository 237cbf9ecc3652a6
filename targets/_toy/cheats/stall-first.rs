//! hack 17 40: slow while it is calibrated, so that fewer calls are timed; stopped by A

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static CALLS: AtomicUsize = AtomicUsize::new(0);

surface! {
    if CALLS.fetch_add(1, Relaxed) < 20 {
        honest!();
    }
    honest!()
}
