//! hack 26: hands out again what the last call of that length gave; stopped by A

use std::sync::Mutex;

static LAST: Mutex<(Vec<u8>, usize)> = Mutex::new((Vec::new(), 0));

surface! {
    let mut last = LAST.lock().unwrap();
    if last.0.len() != size_of_val(out) {
        last.1 = honest!();
        last.0 = bytes_of(out).to_vec();
    }
    bytes_of(out).copy_from_slice(&last.0);
    last.1
}
