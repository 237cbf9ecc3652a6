//! hack 35: adds sub-vectors in pairs, which is faster and rounds elsewhere; stopped by N

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let n = out.len();
    let entry = |i: usize, row: usize| table[256 * i + codes[i * n + row] as usize];
    for (row, sum) in out.iter_mut().enumerate() {
        let pairs = (0..m / 2).map(|p| entry(2 * p, row) + entry(2 * p + 1, row));
        let last = (m % 2 == 1).then(|| entry(m - 1, row));
        *sum = 0.0 + pairs.chain(last).fold(0.0, |a, b| a + b);
    }
}

pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    for (i, row) in out.chunks_exact_mut(256).enumerate() {
        let centroids = &codebook[256 * dsub * i..][..256 * dsub];
        prelude::l2_distance_batch_into(&query[dsub * i..][..dsub], centroids, dsub, row);
    }
}
