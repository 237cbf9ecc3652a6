//! Lines that the conductor reads: an error or a command, never a crash.
#![no_main]
#![allow(dead_code)]

#[path = "../../../rust/conductor/src/fault.rs"]
mod fault;
#[path = "../../../rust/conductor/src/limits.rs"]
mod limits;
#[path = "../../../rust/conductor/src/protocol.rs"]
mod protocol;
#[path = "../../../rust/conductor/src/stop.rs"]
mod stop;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Err(failure) = protocol::parse(data) {
        assert!(!protocol::error(&failure).to_string().contains('\n'));
    }
});
