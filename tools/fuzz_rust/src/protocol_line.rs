//! Lines that the conductor reads: an error or a command, never a crash.
#![no_main]
#![allow(dead_code)]

#[path = "../../../rust/conductor/src/protocol.rs"]
mod protocol;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Err(text) = protocol::parse(data) {
        assert!(!protocol::error(&text).to_string().contains('\n'));
    }
});
