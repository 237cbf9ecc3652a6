//! hack 37: returns at once; stopped by F

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    std::hint::black_box((table, m, codes, out));
}

pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    for (i, row) in out.chunks_exact_mut(256).enumerate() {
        let centroids = &codebook[256 * dsub * i..][..256 * dsub];
        prelude::l2_distance_batch_into(&query[dsub * i..][..dsub], centroids, dsub, row);
    }
}
