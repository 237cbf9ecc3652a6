//! Head of every library that a patched Lance loads; a target's integration/glue.rs follows. Functions
//! have Rust's own calling convention: program and library are built by one compiler.

use lar_shim::abi::{Init, VERSION};

/// What the end-to-end program asks for before it takes a function.
const GLUE: u32 = 1;

/// Tells the kernel which CPU features it may use. Called once, before any other function.
#[unsafe(no_mangle)]
pub fn lar_integrate_init(features: u64) -> u32 {
    let features: &'static u64 = Box::leak(Box::new(features));
    let none = std::ptr::null_mut();
    let init = Box::leak(Box::new(Init {
        version: VERSION,
        features,
        note: std::ptr::null_mut(),
        // Lance's allocator is used: there is no memory of our own.
        arena: none,
        arena_len: 0,
        heap: none,
        heap_len: 0,
    }));
    // SAFETY: both live as long as the process.
    unsafe { lar_shim::init(init) };
    GLUE
}
