//! How the toy's ops are called: slices in, one slice out, the number of values written.

use lar_shim::Call;

/// Arguments: input f32[n], weights f32[w]. Output: f32[n].
pub fn blend(call: &mut Call) {
    let (input, weights) = (call.f32s(0), call.f32s(1));
    let written = kernels::blend(input, weights, call.out_f32s(0));
    call.set_len(0, 4 * written);
}

/// Arguments: input u8[n]. Output: at most u8[n].
pub fn compact(call: &mut Call) {
    let input = call.bytes(0);
    let written = kernels::compact(input, call.out_bytes(0));
    call.set_len(0, written);
}

lar_shim::ops!(blend, compact);
