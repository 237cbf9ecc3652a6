//! pq-l2: results are written straight into the caller's output.

use prelude::l2_distance_batch_into;

const CENTROIDS: usize = 256;

/// `out[row] = table[0][code] + table[1][code] + ...`; `codes` is column-major, `m x n`.
pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    if codes.is_empty() {
        return;
    }
    let n = codes.len() / m;
    let out = &mut out[..n];
    let (tables, _) = table[..m * CENTROIDS].as_chunks::<CENTROIDS>();
    out.fill(0.0);
    for (entries, column) in tables.iter().zip(codes.chunks_exact(n)) {
        for (sum, &code) in out.iter_mut().zip(column) {
            *sum += entries[code as usize];
        }
    }
}

/// `out[i][c]` = squared L2 distance of sub-query `i` to its centroid `c`.
pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    let parts = query
        .chunks_exact(dsub)
        .zip(codebook.chunks_exact(CENTROIDS * dsub));
    // Zipping with `out` stops before the tail that legacy writers truncated.
    for ((key, centroids), distances) in parts.zip(out.chunks_exact_mut(CENTROIDS)) {
        l2_distance_batch_into(key, centroids, dsub, distances);
    }
}
