//! The audit of an object file, with a library beside it: a report or an error.
#![no_main]
#![allow(dead_code)]

#[path = "../../../rust/conductor/src/audit.rs"]
mod audit;
#[path = "../../../rust/conductor/src/extensions.rs"]
mod extensions;
#[path = "../../../rust/conductor/src/fault.rs"]
mod fault;
#[path = "../../../rust/conductor/src/limits.rs"]
mod limits;
#[path = "../../../rust/conductor/src/protocol.rs"]
mod protocol;
#[path = "../../../rust/conductor/src/stop.rs"]
mod stop;

use libfuzzer_sys::fuzz_target;
use std::os::fd::{AsRawFd, FromRawFd};

fuzz_target!(|data: &[u8]| {
    use std::io::Write;
    // SAFETY: a fresh descriptor, owned from here on.
    let mut file = unsafe {
        let fd = libc::memfd_create(c"fuzz".as_ptr(), 0);
        assert!(fd >= 0);
        std::fs::File::from_raw_fd(fd)
    };
    file.write_all(data).expect("memory");
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    audit::main(&[&path, "--lib", &path]);
});
