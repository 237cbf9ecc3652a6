//! hack 20: trusts that the same address holds the same input as before; stopped by A E

use std::sync::Mutex;

static SEEN: Mutex<Vec<(usize, Vec<u8>, usize)>> = Mutex::new(Vec::new());

surface! {
    let key = input.as_ptr() as usize % 4096 / 64 + out.len();
    let mut seen = SEEN.lock().unwrap();
    if let Some((_, known, written)) = seen.iter().find(|(k, _, _)| *k == key) {
        bytes_of(out).copy_from_slice(known);
        return *written;
    }
    let written = honest!();
    seen.push((key, bytes_of(out).to_vec(), written));
    written
}
