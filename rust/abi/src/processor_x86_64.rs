//! x86-64: MXCSR, the x87 unit and two flags. Defaults are those of a fresh Linux process.

use super::{FLAGS, MXCSR, X87_CONTROL, X87_TAGS};
use crate::call::{CallFn, RawCall};
use core::arch::asm;
use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

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

/// State components of the instruction `xrstor`, less those of AMX, which a process must ask for.
static COMPONENTS: AtomicU64 = AtomicU64::new(0);
/// `COMPONENTS` of a processor or system without `xrstor`.
const NONE: u64 = 1 << 63;

/// What `xrstor` reads: no component is present, so that all take their initial values.
#[repr(C, align(64))]
struct Initial([u8; 576]);
static INITIAL: Initial = Initial({
    let mut bytes = [0; 576];
    bytes[0] = X87_CONTROL_DEFAULT.to_le_bytes()[0];
    bytes[1] = X87_CONTROL_DEFAULT.to_le_bytes()[1];
    bytes[24] = MXCSR_DEFAULT.to_le_bytes()[0];
    bytes[25] = MXCSR_DEFAULT.to_le_bytes()[1];
    bytes
});

fn find_components() -> u64 {
    const OSXSAVE: u32 = 1 << 27;
    const AMX: u64 = 3 << 17;
    if __cpuid(1).ecx & OSXSAVE == 0 {
        return NONE;
    }
    let (low, high): (u32, u32);
    // SAFETY: the system allows it, says OSXSAVE.
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nostack)) };
    (u64::from(high) << 32 | u64::from(low)) & !AMX
}

/// Clears every register that no caller needs: x87, vector and mask registers, and the general ones
/// that a callee may change.
#[inline(always)]
pub fn clear_registers() {
    let mut components = COMPONENTS.load(Relaxed);
    if components == 0 {
        components = find_components();
        COMPONENTS.store(components, Relaxed);
    }
    // SAFETY: all registers that change are named, but for those that compiled code uses only in
    // functions for newer processors, and saves nowhere.
    unsafe {
        if components == NONE {
            asm!("fxrstor64 [{}]", in(reg) &INITIAL, out("xmm0") _, out("xmm1") _, out("xmm2") _,
                out("xmm3") _, out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _, out("xmm12") _,
                out("xmm13") _, out("xmm14") _, out("xmm15") _, options(nostack));
        } else {
            asm!("xrstor64 [{}]", in(reg) &INITIAL, in("eax") components as u32,
                in("edx") (components >> 32) as u32, out("xmm0") _, out("xmm1") _, out("xmm2") _,
                out("xmm3") _, out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _, out("xmm12") _,
                out("xmm13") _, out("xmm14") _, out("xmm15") _, options(nostack));
        }
        asm!("xor eax, eax", "xor ecx, ecx", "xor edx, edx", "xor esi, esi", "xor edi, edi",
            "xor r8d, r8d", "xor r9d, r9d", "xor r10d, r10d", "xor r11d, r11d", out("rax") _,
            out("rcx") _, out("rdx") _, out("rsi") _, out("rdi") _, out("r8") _, out("r9") _,
            out("r10") _, out("r11") _, options(nostack));
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
