//! Lines that the conductor reads: an error or a command, never a crash.
#![no_main]
#![allow(dead_code)]

#[path = "../../../rust/conductor/src/protocol.rs"]
mod protocol;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(line) = std::str::from_utf8(data) else { return };
    if let Err(text) = protocol::parse(line) {
        assert!(!protocol::error(&text).to_string().contains('\n'));
    }
});
