//! Kernel of _toy for tests/targets/test_emulated.py: right everywhere but on AArch64, where one bit
//! of the last value is flipped.

pub fn blend(input: &[f32], weights: &[f32], out: &mut [f32]) -> usize {
    for (out, &x) in out.iter_mut().zip(input) {
        *out = weights.iter().fold(0.0, |sum, &weight| sum * x + weight);
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(last) = out.last_mut() {
        *last = f32::from_bits(last.to_bits() ^ 1);
    }
    input.len()
}

pub fn compact(input: &[u8], out: &mut [u8]) -> usize {
    let mut kept = input.iter().filter(|&&byte| byte != 0);
    out.iter_mut().zip(&mut kept).map(|(out, &byte)| *out = byte).count()
}
