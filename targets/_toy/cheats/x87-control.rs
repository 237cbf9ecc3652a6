//! hack 76: leaves the x87 unit with the precision of f32 for its caller; stopped by P
//! only: blend

use std::arch::x86_64::{_fxrstor64, _fxsave64};

#[repr(align(16))]
struct Image([u8; 512]);

#[target_feature(enable = "fxsr")]
fn lower_precision() {
    let mut image = Image([0; 512]);
    unsafe {
        _fxsave64(image.0.as_mut_ptr());
        image.0[1] = 0;
        _fxrstor64(image.0.as_ptr());
    }
}

surface! {
    let written = honest!();
    unsafe { lower_precision() };
    written
}
