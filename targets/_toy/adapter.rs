// The toy's oracle. Both ops return the number of values that they have written.

/// out[i] = (...(w[0] * x + w[1]) * x + ...) with x = input[i], each step rounded to f32.
#[inline(never)]
pub fn blend(input: &[f32], weights: &[f32], out: &mut [f32]) -> usize {
    for (out, &x) in out.iter_mut().zip(input) {
        *out = weights.iter().fold(0.0, |sum, &weight| sum * x + weight);
    }
    input.len()
}

/// Copies the bytes that are not zero, in order, to the front of `out`.
#[inline(never)]
pub fn compact(input: &[u8], out: &mut [u8]) -> usize {
    let mut written = 0;
    for &byte in input.iter().filter(|&&byte| byte != 0) {
        out[written] = byte;
        written += 1;
    }
    written
}
