//! hack 17 23 40: computes its first calls and skips the work once it feels safe; stopped by A E

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static CALLS: AtomicUsize = AtomicUsize::new(0);

surface! {
    if CALLS.fetch_add(1, Relaxed) > 20 {
        return out.len();
    }
    honest!()
}
