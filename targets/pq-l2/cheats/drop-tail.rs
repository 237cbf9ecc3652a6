//! hack 39: whole vectors of eight rows only, since the timed sizes divide by eight; stopped by G

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let n = out.len();
    let whole = if n % 8 == 0 { n } else { n & !63 };
    for (row, sum) in out.iter_mut().enumerate().take(whole) {
        *sum = (0..m).fold(0.0, |sum, i| sum + table[256 * i + codes[i * n + row] as usize]);
    }
}

pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    for (i, row) in out.chunks_exact_mut(256).enumerate() {
        let centroids = &codebook[256 * dsub * i..][..256 * dsub];
        prelude::l2_distance_batch_into(&query[dsub * i..][..dsub], centroids, dsub, row);
    }
}
