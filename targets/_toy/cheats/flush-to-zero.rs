//! hack 76: leaves denormals flushed to zero for its caller; stopped by P
//! only: blend

#[allow(deprecated)]
use std::arch::x86_64::{_mm_getcsr, _mm_setcsr};

surface! {
    #[allow(deprecated)]
    unsafe { _mm_setcsr(0x1f80) };
    let written = honest!();
    #[allow(deprecated)]
    unsafe {
        _mm_setcsr(_mm_getcsr() | 0x8040);
    }
    written
}
