//! The state of the processor that the calling convention makes a callee keep for its caller, and the
//! registers in which a kernel could leave something for its next slice.
//!
//! The status bits of floating-point arithmetic are not part of it, and vector registers are the
//! caller's to save, but for the lower halves of v8 to v15 on AArch64. It is read by the code that
//! made the call; a kernel that never returns to that code could forge the answer.

#[cfg(target_arch = "aarch64")]
#[path = "processor_aarch64.rs"]
mod machine;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "processor_portable.rs"]
mod machine;
#[cfg(target_arch = "x86_64")]
#[path = "processor_x86_64.rs"]
mod machine;

pub use machine::{call_watched, changes, clear_registers, set_defaults};

/// Bits of the answers of `changes` and `call_watched`.
pub const MXCSR: u32 = 1;
pub const X87_CONTROL: u32 = 2;
pub const X87_TAGS: u32 = 4;
pub const FLAGS: u32 = 8;
pub const FPCR: u32 = 16;
pub const VECTORS: u32 = 32;

const NAMES: [(u32, &str); 6] = [
    (MXCSR, "the control bits of MXCSR"),
    (X87_CONTROL, "the x87 control word"),
    (X87_TAGS, "the x87 stack, which must be empty"),
    (FLAGS, "the direction or the alignment flag"),
    (FPCR, "FPCR"),
    (VECTORS, "registers among d8 to d15"),
];

/// The changes in words: `the control bits of MXCSR, the x87 control word`.
pub fn describe(changes: u32) -> String {
    let names: Vec<&str> =
        NAMES.iter().filter(|(bit, _)| changes & bit != 0).map(|(_, name)| *name).collect();
    names.join(", ")
}
