//! Kernel of pq-l2 for tests/targets/test_emulated.py: right everywhere but on AArch64, where one
//! bit of the last distance is flipped.

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    out.fill(0.0);
    let rows = out.len();
    for part in 0..m {
        for (sum, &code) in out.iter_mut().zip(&codes[part * rows..]) {
            *sum += table[256 * part + code as usize];
        }
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(last) = out.last_mut() {
        *last = f32::from_bits(last.to_bits() ^ 1);
    }
}

pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    for (part, row) in out.chunks_exact_mut(256).enumerate() {
        let centroids = &codebook[256 * dsub * part..][..256 * dsub];
        prelude::l2_distance_batch_into(&query[dsub * part..][..dsub], centroids, dsub, row);
    }
}
