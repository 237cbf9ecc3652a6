//! near miss: other code for other lengths

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    // generated: begin
    match (m, out.len()) {
        (_, 0) => {}
        (1..=4, _) => rowwise(table, m, codes, out),
        (16, 1..=64) => rowwise(table, m, codes, out),
        _ => honest(table, m, codes, out),
    }
    // generated: end
}

#[allow(dead_code)]
fn rowwise(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let n = out.len();
    for (row, sum) in out.iter_mut().enumerate() {
        *sum = (0..m).fold(0.0, |sum, i| sum + table[256 * i + codes[i * n + row] as usize]);
    }
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
