//! pq-l2: results are written straight into the caller's output; the scan takes eight rows and
//! eight sub-vectors at a time.
//!
//! Upstream spends three loads and a store on each entry: the code, the sum and the entry. Here
//! one load brings eight codes, and the sums of eight rows stay in registers while eight
//! sub-vectors are added: one load an entry is left. Each row still starts at +0.0 and adds its
//! sub-vectors in ascending order.

use prelude::l2_distance_batch_into;

const CENTROIDS: usize = 256;

/// Sub-vectors added for one read and write of the sums; their tables share the first-level cache.
const COLUMNS: usize = 8; // tune: 4 8 16

/// Rows whose codes come with one load.
const ROWS: usize = 8;

/// `out[row] = table[0][code] + table[1][code] + ...`; `codes` is column-major, `m x n`.
pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    if codes.is_empty() {
        return;
    }
    let n = codes.len() / m;
    let (tables, _) = table[..m * CENTROIDS].as_chunks::<CENTROIDS>();
    let out = &mut out[..n];
    out.fill(0.0);
    for (tables, codes) in tables.chunks(COLUMNS).zip(codes.chunks(COLUMNS * n)) {
        match tables.try_into() {
            Ok(tables) => columns::<COLUMNS>(tables, codes, n, out),
            Err(_) => {
                for (table, codes) in tables.iter().zip(codes.chunks_exact(n)) {
                    columns::<1>(std::array::from_ref(table), codes, n, out);
                }
            }
        }
    }
}

/// Adds `C` sub-vectors to the sums, eight rows at a time.
fn columns<const C: usize>(tables: &[[f32; CENTROIDS]; C], codes: &[u8], n: usize, out: &mut [f32]) {
    let columns: [&[u8]; C] = std::array::from_fn(|i| &codes[i * n..(i + 1) * n]);
    let (groups, rest) = out.as_chunks_mut::<ROWS>();
    let groups_of: [&[[u8; ROWS]]; C] =
        std::array::from_fn(|i| &columns[i].as_chunks::<ROWS>().0[..groups.len()]);
    for (g, sums) in groups.iter_mut().enumerate() {
        let mut s = *sums;
        for (table, group) in tables.iter().zip(&groups_of) {
            let mut eight = u64::from_le_bytes(group[g]);
            for sum in &mut s {
                *sum += table[eight as u8 as usize];
                eight >>= 8;
            }
        }
        *sums = s;
    }
    let whole = n - rest.len();
    for (table, column) in tables.iter().zip(&columns) {
        for (sum, &code) in rest.iter_mut().zip(&column[whole..]) {
            *sum += table[code as usize];
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
