//! AArch64: FPCR, and the lower halves of v8 to v15.

use super::{FPCR, VECTORS};
use crate::call::{CallFn, RawCall};
use core::arch::asm;

/// Puts everything back to what a caller may expect.
pub fn set_defaults() {
    // SAFETY: round to nearest, no traps, no flushing: the values of a fresh process.
    unsafe { asm!("msr fpcr, xzr", "msr fpsr, xzr", options(nostack)) };
}

/// Clears the vector registers and the general ones that a callee may change.
#[inline(always)]
pub fn clear_registers() {
    // SAFETY: all registers that change are named. Writing v0 to v31 clears the rest of SVE's z0 to z31.
    unsafe {
        asm!(
            "movi v0.2d, #0", "movi v1.2d, #0", "movi v2.2d, #0", "movi v3.2d, #0",
            "movi v4.2d, #0", "movi v5.2d, #0", "movi v6.2d, #0", "movi v7.2d, #0",
            "movi v8.2d, #0", "movi v9.2d, #0", "movi v10.2d, #0", "movi v11.2d, #0",
            "movi v12.2d, #0", "movi v13.2d, #0", "movi v14.2d, #0", "movi v15.2d, #0",
            "movi v16.2d, #0", "movi v17.2d, #0", "movi v18.2d, #0", "movi v19.2d, #0",
            "movi v20.2d, #0", "movi v21.2d, #0", "movi v22.2d, #0", "movi v23.2d, #0",
            "movi v24.2d, #0", "movi v25.2d, #0", "movi v26.2d, #0", "movi v27.2d, #0",
            "movi v28.2d, #0", "movi v29.2d, #0", "movi v30.2d, #0", "movi v31.2d, #0",
            "mov x0, #0", "mov x1, #0", "mov x2, #0", "mov x3, #0", "mov x4, #0", "mov x5, #0",
            "mov x6, #0", "mov x7, #0", "mov x8, #0", "mov x9, #0", "mov x10, #0", "mov x11, #0",
            "mov x12, #0", "mov x13, #0", "mov x14, #0", "mov x15, #0", "mov x16, #0",
            "mov x17, #0",
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            clobber_abi("C"), options(nostack),
        );
    }
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
