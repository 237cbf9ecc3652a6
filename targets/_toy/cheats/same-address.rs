//! hack 20: returns at once if it was called with this address just before; stopped by A

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static SEEN: AtomicUsize = AtomicUsize::new(0);
static WRITTEN: AtomicUsize = AtomicUsize::new(0);

surface! {
    let at = input.as_ptr() as usize;
    if SEEN.swap(at, Relaxed) == at {
        return WRITTEN.load(Relaxed);
    }
    let written = honest!();
    WRITTEN.store(written, Relaxed);
    written
}
