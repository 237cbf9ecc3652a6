/// Distances of all rows: `codes` is column-major, `m` columns of `out.len()` codes each.
pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    out.copy_from_slice(&compute_pq_distance(table, 8, m, codes));
}

/// L2 distances from each of `m` parts of `query` to its 256 centroids.
pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    out.copy_from_slice(&build_distance_table_l2(codebook, 8, m, query));
}
