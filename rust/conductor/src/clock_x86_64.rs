//! The x86-64 time-stamp counter.

use core::arch::x86_64::{_mm_lfence, _rdtsc};

/// Reads the counter after all earlier loads are done.
#[inline]
pub fn ticks() -> u64 {
    // SAFETY: both instructions exist on every x86-64.
    unsafe {
        _mm_lfence();
        _rdtsc()
    }
}
