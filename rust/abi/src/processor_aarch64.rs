//! AArch64: FPCR, and the lower halves of v8 to v15.

use super::{FPCR, VECTORS};
use crate::call::{CallFn, RawCall};
use core::arch::asm;

/// Puts everything back to what a caller may expect.
pub fn set_defaults() {
    // SAFETY: round to nearest, no traps, no flushing: the values of a fresh process.
    unsafe { asm!("msr fpcr, xzr", "msr fpsr, xzr", options(nostack)) };
}

/// What differs from the defaults, as bits. The caller's own code has used v8 to v15 since: they are
/// compared by `call_watched` alone.
#[inline]
pub fn changes() -> u32 {
    let fpcr: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, fpcr", out(reg) fpcr, options(nostack, nomem)) };
    if fpcr != 0 { FPCR } else { 0 }
}

/// Makes one call from the defaults, with known values in d8 to d15; what it changed, as bits.
///
/// # Safety
/// As `call`.
pub unsafe fn call_watched(call: CallFn, op: u32, raw: *const RawCall) -> u32 {
    set_defaults();
    let mut seen = [0u64; 8];
    // SAFETY: promised by the caller; everything that is written is named.
    unsafe {
        asm!(
            "fmov d8, x21", "fmov d9, x21", "fmov d10, x21", "fmov d11, x21",
            "fmov d12, x21", "fmov d13, x21", "fmov d14, x21", "fmov d15, x21",
            "blr x22",
            "stp d8, d9, [x20]", "stp d10, d11, [x20, #16]",
            "stp d12, d13, [x20, #32]", "stp d14, d15, [x20, #48]",
            // In registers that the callee keeps.
            in("x20") seen.as_mut_ptr(),
            in("x21") KNOWN,
            in("x22") call,
            in("x0") u64::from(op),
            in("x1") raw,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            clobber_abi("C"),
        );
    }
    let vectors = if seen == [KNOWN; 8] { 0 } else { VECTORS };
    changes() | vectors
}

const KNOWN: u64 = 0x5bd1_e995_c2b2_ae35;
