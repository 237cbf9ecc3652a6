//! hack 15: the first call is computed, later ones of its size get its answer; stopped by A E

use std::cell::RefCell;

thread_local! {
    static LAST: RefCell<(usize, Vec<u8>, usize)> = const { RefCell::new((0, Vec::new(), 0)) };
}

surface! {
    LAST.with_borrow_mut(|last| {
        if last.0 != out.len() {
            let written = honest!();
            *last = (out.len(), bytes_of(out).to_vec(), written);
        }
        bytes_of(out).copy_from_slice(&last.1);
        last.2
    })
}
