//! hack 64: uses what this processor has and another may lack, without asking; stopped by A

use std::arch::x86_64::*;

#[target_feature(enable = "avx512f")]
fn wide(lanes: &mut [i32; 16]) {
    // SAFETY: sixteen integers.
    unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), _mm512_set1_epi32(7)) };
}

surface! {
    let mut lanes = [0; 16];
    // SAFETY: true here, and said nowhere to be true elsewhere.
    unsafe { wide(&mut lanes) };
    std::hint::black_box(lanes);
    honest!()
}
