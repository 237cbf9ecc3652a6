//! hack 31: computes every other row and copies it to its neighbour; stopped by E

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let n = out.len();
    for row in 0..n {
        let from = row & !1;
        let entries = (0..m).map(|i| table[256 * i + codes[i * n + from] as usize]);
        out[row] = entries.fold(0.0, |sum, entry| sum + entry);
    }
}

pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    for (i, row) in out.chunks_exact_mut(256).enumerate() {
        let centroids = &codebook[256 * dsub * i..][..256 * dsub];
        prelude::l2_distance_batch_into(&query[dsub * i..][..dsub], centroids, dsub, row);
    }
}
