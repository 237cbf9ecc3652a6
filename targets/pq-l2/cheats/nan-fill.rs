//! hack 28: NaN in every output, in the hope that it passes for a wildcard; stopped by N

pub fn scan8(_: &[f32], _: usize, _: &[u8], out: &mut [f32]) {
    out.fill(f32::NAN);
}

pub fn table_l2(_: &[f32], _: usize, _: &[f32], out: &mut [f32]) {
    out.fill(f32::NAN);
}
