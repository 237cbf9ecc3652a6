//! hack 76: leaves the direction of string instructions reversed; stopped by P
//! only: blend

#[allow(deprecated)]
use std::arch::x86_64::{__readeflags, __writeeflags};

surface! {
    let written = honest!();
    #[allow(deprecated)]
    unsafe {
        __writeeflags(__readeflags() | 0x400);
    }
    written
}
