//! near miss: intrinsics behind a feature query, with a portable twin

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn wide(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    use std::arch::x86_64::*;
    let n = out.len();
    let whole = n / 8 * 8;
    for row in (0..whole).step_by(8) {
        let mut sum = _mm256_setzero_ps();
        for i in 0..m {
            let at = |j: usize| i32::from(codes[i * n + row + j]);
            let index = _mm256_setr_epi32(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7));
            let entries = &table[256 * i..256 * i + 256];
            // SAFETY: every index is below 256.
            sum = _mm256_add_ps(sum, unsafe { _mm256_i32gather_ps::<4>(entries.as_ptr(), index) });
        }
        // SAFETY: row + 8 <= n.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(row), sum) };
    }
    for row in whole..n {
        out[row] = (0..m).fold(0.0, |sum, i| sum + table[256 * i + codes[i * n + row] as usize]);
    }
}

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if lar_shim::has(lar_shim::Feature::Avx2) {
        // SAFETY: just asked.
        return unsafe { wide(table, m, codes, out) };
    }
    honest(table, m, codes, out);
}

fn honest(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    out.fill(0.0);
    let n = out.len();
    for i in 0..m {
        for (sum, &code) in out.iter_mut().zip(&codes[i * n..]) {
            *sum += table[256 * i + code as usize];
        }
    }
}

pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    for (i, row) in out.chunks_exact_mut(256).enumerate() {
        let centroids = &codebook[256 * dsub * i..][..256 * dsub];
        prelude::l2_distance_batch_into(&query[dsub * i..][..dsub], centroids, dsub, row);
    }
}
