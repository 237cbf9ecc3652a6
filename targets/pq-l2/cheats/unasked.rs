//! hack 64: uses what this processor has and another may lack, without asking; stopped by A

use std::arch::x86_64::*;

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    // SAFETY: true here, and nowhere said to be true elsewhere.
    unsafe { wide(table, m, codes, out) }
}

#[target_feature(enable = "avx512f")]
fn wide(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let n = out.len();
    for (first, sums) in (0..).step_by(16).zip(out.chunks_mut(16)) {
        let mut lanes = [0.0; 16];
        for i in 0..m {
            let mut terms = [0.0; 16];
            for (term, &code) in terms.iter_mut().zip(&codes[i * n + first..][..sums.len()]) {
                *term = table[256 * i + code as usize];
            }
            // SAFETY: sixteen floats each.
            unsafe {
                let sum = _mm512_add_ps(_mm512_loadu_ps(lanes.as_ptr()), _mm512_loadu_ps(terms.as_ptr()));
                _mm512_storeu_ps(lanes.as_mut_ptr(), sum);
            }
        }
        sums.copy_from_slice(&lanes[..sums.len()]);
    }
}

pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    for (i, row) in out.chunks_exact_mut(256).enumerate() {
        let centroids = &codebook[256 * dsub * i..][..256 * dsub];
        prelude::l2_distance_batch_into(&query[dsub * i..][..dsub], centroids, dsub, row);
    }
}
