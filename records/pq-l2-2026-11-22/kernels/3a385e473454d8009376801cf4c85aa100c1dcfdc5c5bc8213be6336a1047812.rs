//! pq-l2: results are written straight into the caller's output; the scan adds four sub-vectors
//! for one read and write of a row's sum.

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
    let columns = |first: usize, i: usize| &codes[(first + i) * n..][..n];
    let (blocks, rest) = tables.as_chunks::<4>();
    for (b, t) in blocks.iter().enumerate() {
        let (c0, c1) = (columns(4 * b, 0), columns(4 * b, 1));
        let (c2, c3) = (columns(4 * b, 2), columns(4 * b, 3));
        for ((((sum, &a), &b), &c), &d) in out.iter_mut().zip(c0).zip(c1).zip(c2).zip(c3) {
            // Left to right: the order of the additions is part of the result.
            *sum = *sum + t[0][a as usize] + t[1][b as usize] + t[2][c as usize] + t[3][d as usize];
        }
    }
    for (i, t) in rest.iter().enumerate() {
        for (sum, &code) in out.iter_mut().zip(columns(4 * blocks.len(), i)) {
            *sum += t[code as usize];
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
