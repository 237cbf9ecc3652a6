//! pq-l2: both functions write straight into the caller's output.
//!
//! Lance returns a fresh `Vec`, which is zeroed first and copied afterwards. Without it a table is
//! written once instead of three times. The loops are those of Lance.

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
    for (table, column) in tables.iter().zip(codes.chunks_exact(n)) {
        add(table, column, out);
    }
}

/// Adds one sub-vector to the sums, row after row.
fn add(table: &[f32; CENTROIDS], column: &[u8], sums: &mut [f32]) {
    for (sum, &code) in sums.iter_mut().zip(column) {
        *sum += table[usize::from(code)];
    }
}

/// `out[i][c]` = squared L2 distance of sub-query `i` to its centroid `c`.
pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    let parts = query.chunks_exact(dsub).zip(codebook.chunks_exact(CENTROIDS * dsub));
    // Zipping with `out` stops before the tail that legacy writers truncated.
    for ((key, centroids), distances) in parts.zip(out.chunks_exact_mut(CENTROIDS)) {
        l2_distance_batch_into(key, centroids, dsub, distances);
    }
}
