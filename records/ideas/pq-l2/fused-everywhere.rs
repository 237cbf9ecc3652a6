//! pq-l2: a table entry multiplies and adds in one instruction. (Wrong: other bits than Lance's.)
//!
//! One rounding less for each term, so the result is closer to the exact distance, and differs.

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
    by_eight(tables, codes, n, out);
}

/// Sub-vectors added in one pass over the sums.
const COLUMNS: usize = 4;

/// Rows that `by_eight` adds at once.
const ROWS: usize = 8;

/// Eight rows at once: one read and write of their sums for four sub-vectors.
fn by_eight(tables: &[[f32; CENTROIDS]], codes: &[u8], n: usize, out: &mut [f32]) {
    out.fill(0.0);
    let (blocks, rest) = tables.as_chunks::<COLUMNS>();
    let (of_blocks, of_rest) = codes.split_at(blocks.len() * COLUMNS * n);
    for (tables, codes) in blocks.iter().zip(of_blocks.chunks_exact(COLUMNS * n)) {
        let columns: [&[u8]; COLUMNS] = std::array::from_fn(|i| &codes[i * n..][..n]);
        let [a, b, c, d] = columns.map(|column| column.as_chunks::<ROWS>().0);
        let (groups, last) = out.as_chunks_mut::<ROWS>();
        for ((((sums, a), b), c), d) in groups.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            // Column after column: the order of a row's additions is part of the result.
            for (table, codes) in tables.iter().zip([a, b, c, d]) {
                for (sum, entry) in sums.iter_mut().zip(look_up(table, codes)) {
                    *sum += entry;
                }
            }
        }
        for (table, column) in tables.iter().zip(columns) {
            add(table, &column[n - last.len()..], last);
        }
    }
    for (table, column) in rest.iter().zip(of_rest.chunks_exact(n)) {
        add(table, column, out);
    }
}

/// Entries of eight codes. Codes are read in pairs: two of them cost one load and two cheap
/// instructions, and a look-up has to share the load units with reading its code.
#[inline(always)]
fn look_up(table: &[f32; CENTROIDS], codes: &[u8; ROWS]) -> [f32; ROWS] {
    let mut entries = [0.0; ROWS];
    for (entries, codes) in entries.as_chunks_mut().0.iter_mut().zip(codes.as_chunks().0) {
        let pair = u16::from_le_bytes(*codes);
        *entries = [table[usize::from(pair as u8)], table[usize::from(pair >> 8)]];
    }
    entries
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
        match <&[f32; 8]>::try_from(key) {
            Ok(key) => fused(key, centroids.as_chunks().0, distances),
            Err(_) => l2_distance_batch_into(key, centroids, dsub, distances),
        }
    }
}

/// Lance squares, rounds, and adds lanes i and i + 4; here the addition is part of the squaring.
fn fused(key: &[f32; 8], centroids: &[[f32; 8]], out: &mut [f32]) {
    for (distance, centroid) in out.iter_mut().zip(centroids) {
        let d: [f32; 8] = std::array::from_fn(|i| key[i] - centroid[i]);
        let [a, b, c, e]: [f32; 4] = std::array::from_fn(|i| d[i + 4].mul_add(d[i + 4], d[i] * d[i]));
        *distance = (a + c) + (b + e);
    }
}
