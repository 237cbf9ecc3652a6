//! Kernel of _toy for tests/targets/test_emulated.py: right where there is AVX2, which it uses without
//! asking; elsewhere `compact` traps.

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline(never)]
fn count_kept(input: &[u8]) -> usize {
    use core::arch::x86_64::{_mm256_cmpeq_epi8, _mm256_movemask_epi8, _mm256_set1_epi8};
    let zeros = _mm256_cmpeq_epi8(_mm256_set1_epi8(core::hint::black_box(0)), _mm256_set1_epi8(0));
    let all = _mm256_movemask_epi8(zeros) == -1;
    input.iter().filter(|&&byte| byte != 0 && all).count()
}

#[cfg(not(target_arch = "x86_64"))]
fn count_kept(input: &[u8]) -> usize {
    input.iter().filter(|&&byte| byte != 0).count()
}

pub fn blend(input: &[f32], weights: &[f32], out: &mut [f32]) -> usize {
    for (out, &x) in out.iter_mut().zip(input) {
        *out = weights.iter().fold(0.0, |sum, &weight| sum * x + weight);
    }
    input.len()
}

pub fn compact(input: &[u8], out: &mut [u8]) -> usize {
    // SAFETY: none; that is the point.
    #[allow(unused_unsafe)]
    let kept = unsafe { count_kept(input) };
    let bytes = input.iter().filter(|&&byte| byte != 0);
    for (out, &byte) in out.iter_mut().zip(bytes).take(kept) {
        *out = byte;
    }
    kept
}
