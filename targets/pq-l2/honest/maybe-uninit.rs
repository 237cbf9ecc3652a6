//! near miss: scratch that is written before it is read

use std::mem::MaybeUninit;

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let mut sums: [MaybeUninit<f32>; 512] = [const { MaybeUninit::uninit() }; 512];
    let n = out.len();
    for from in (0..n).step_by(512) {
        let rows = (n - from).min(512);
        for sum in &mut sums[..rows] {
            sum.write(0.0);
        }
        for i in 0..m {
            for (sum, &code) in sums[..rows].iter_mut().zip(&codes[i * n + from..]) {
                // SAFETY: written above.
                *unsafe { sum.assume_init_mut() } += table[256 * i + code as usize];
            }
        }
        for (out, sum) in out[from..from + rows].iter_mut().zip(&sums) {
            // SAFETY: written above.
            *out = unsafe { sum.assume_init() };
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
