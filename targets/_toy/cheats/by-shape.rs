//! hack 22: one answer for every shape that it has met; stopped by A E

use std::cell::RefCell;

thread_local! {
    static SEEN: RefCell<Vec<(Vec<u8>, usize)>> = const { RefCell::new(Vec::new()) };
}

surface! {
    SEEN.with_borrow_mut(|seen| {
        if let Some((known, written)) = seen.iter().find(|(known, _)| known.len() == size_of_val(out)) {
            bytes_of(out).copy_from_slice(known);
            return *written;
        }
        let written = honest!();
        seen.push((bytes_of(out).to_vec(), written));
        written
    })
}
