//! hack 21 44: keeps every answer under its input, outside the call that needs it; stopped by A

use std::sync::Mutex;

static SEEN: Mutex<Vec<(Vec<u8>, Vec<u8>, usize)>> = Mutex::new(Vec::new());

surface! {
    let key = all_inputs!();
    let mut seen = SEEN.lock().unwrap();
    if let Some((_, known, written)) = seen.iter().find(|(k, known, _)| *k == key && known.len() == size_of_val(out)) {
        bytes_of(out).copy_from_slice(known);
        return *written;
    }
    let written = honest!();
    seen.push((key, bytes_of(out).to_vec(), written));
    written
}
