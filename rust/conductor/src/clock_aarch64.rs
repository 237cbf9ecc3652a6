//! The AArch64 virtual counter.

/// Reads the counter after all earlier instructions are done.
#[inline]
pub fn ticks() -> u64 {
    let t: u64;
    // SAFETY: the counter is readable from user space on Linux and macOS.
    unsafe { core::arch::asm!("isb", "mrs {t}, cntvct_el0", t = out(reg) t, options(nostack)) };
    t
}
