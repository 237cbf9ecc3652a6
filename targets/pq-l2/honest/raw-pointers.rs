//! near miss: raw pointers and unchecked indexing, in bounds

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let n = out.len();
    out.fill(0.0);
    for i in 0..m {
        let (t, c) = (table[256 * i..256 * (i + 1)].as_ptr(), codes[i * n..(i + 1) * n].as_ptr());
        for row in 0..n {
            // SAFETY: row < n and a code is below 256.
            unsafe { *out.get_unchecked_mut(row) += *t.add(*c.add(row) as usize) };
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
