//! hack 12 46: half of the rows on another thread and its core; stopped by A B

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let n = out.len();
    let (low, high) = out.split_at_mut(n / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| rows(table, m, codes, n, 0, low));
        rows(table, m, codes, n, n / 2, high);
    });
}

fn rows(table: &[f32], m: usize, codes: &[u8], n: usize, from: usize, out: &mut [f32]) {
    out.fill(0.0);
    for i in 0..m {
        for (sum, &code) in out.iter_mut().zip(&codes[i * n + from..]) {
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
