//! x86-64: MXCSR, the x87 unit and two flags. Defaults are those of a fresh Linux process.

use super::{FLAGS, MXCSR, X87_CONTROL, X87_TAGS};
use crate::call::{CallFn, RawCall};
use core::arch::asm;

const MXCSR_DEFAULT: u32 = 0x1f80;
const MXCSR_STATUS: u32 = 0x3f;
const X87_CONTROL_DEFAULT: u16 = 0x37f;
/// Direction, and the check of alignment.
const FLAGS_KEPT: u64 = 1 << 10 | 1 << 18;

/// What `fxsave64` writes.
#[repr(C, align(16))]
struct Saved([u8; 512]);

/// Puts everything back to what a caller may expect.
pub fn set_defaults() {
    // SAFETY: the values of a fresh process; the flag bits that are cleared hold no results.
    unsafe {
        asm!("fninit", "ldmxcsr [{mxcsr}]", "push 2", "popfq", mxcsr = in(reg) &MXCSR_DEFAULT);
    }
}

/// What differs from the defaults, as bits.
#[inline]
pub fn changes() -> u32 {
    let flags: u64;
    // SAFETY: reads the flags.
    unsafe { asm!("pushfq", "pop {}", "cld", out(reg) flags) };
    let mut saved = Saved([0; 512]);
    // SAFETY: 512 bytes, aligned as the instruction wants them; it changes nothing else.
    unsafe { asm!("fxsave64 [{}]", in(reg) &raw mut saved, options(nostack)) };
    let control = u16::from_le_bytes([saved.0[0], saved.0[1]]);
    let tags = saved.0[4];
    let mxcsr = u32::from_le_bytes([saved.0[24], saved.0[25], saved.0[26], saved.0[27]]);
    let bit = |changed: bool, bit: u32| if changed { bit } else { 0 };
    bit((mxcsr ^ MXCSR_DEFAULT) & !MXCSR_STATUS != 0, MXCSR)
        | bit(control != X87_CONTROL_DEFAULT, X87_CONTROL)
        | bit(tags != 0, X87_TAGS)
        | bit(flags & FLAGS_KEPT != 0, FLAGS)
}

/// Makes one call from the defaults; what it changed, as bits.
///
/// # Safety
/// As `call`.
pub unsafe fn call_watched(call: CallFn, op: u32, raw: *const RawCall) -> u32 {
    set_defaults();
    // SAFETY: promised by the caller.
    unsafe { call(op, raw) };
    changes()
}
