//! pq-l2: tables fold eight centroids at once (AVX2); results go straight into the output.
//!
//! Lance reduces each centroid alone: six dependent instructions for one number. Here the squares of
//! eight centroids go through one tree that transposes while it adds, and every sum keeps Lance's
//! order: (i, i+4), then (+2), then (+1). A step of the tree needs `a.low + a.high | b.low + b.high`:
//! one blend and one shuffle, since a sum does not care which operand comes first.

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
        #[cfg(all(target_feature = "avx2", target_feature = "fma"))]
        if dsub == 8 || dsub == 16 {
            // SAFETY: the build's baseline has AVX2 and FMA.
            unsafe { tree::distances(key, centroids, distances) };
            continue;
        }
        l2_distance_batch_into(key, centroids, dsub, distances);
    }
}

#[cfg(all(target_feature = "avx2", target_feature = "fma"))]
mod tree {
    use std::arch::x86_64::*;

    /// Floats of the codebook between what is read and what is prefetched.
    const AHEAD: usize = 512; // tune: 128 256 512 1024 2048

    /// Distances of `key`, of 8 or 16 floats, to all centroids.
    #[target_feature(enable = "avx2,fma")]
    pub fn distances(key: &[f32], centroids: &[f32], out: &mut [f32]) {
        let (eights, _) = out.as_chunks_mut::<8>();
        match key.as_chunks::<8>().0 {
            [key] => {
                let key = load(key);
                for (rows, out) in centroids.as_chunks::<64>().0.iter().zip(eights) {
                    let square = |y: &[f32; 8]| {
                        let d = _mm256_sub_ps(key, load(y));
                        _mm256_mul_ps(d, d)
                    };
                    store(out, fold(rows.as_chunks().0, square));
                }
            }
            [low, high] => {
                let (low, high) = (load(low), load(high));
                for (rows, out) in centroids.as_chunks::<128>().0.iter().zip(eights) {
                    // Rows of the next sub-vector too: a prefetch does not fault.
                    for line in 0..8 {
                        let ahead = rows.as_ptr().wrapping_add(16 * line + AHEAD);
                        _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                    }
                    let square = |y: &[f32; 16]| {
                        let (a, b) = y.split_at(8);
                        let lo = _mm256_sub_ps(low, load(a.try_into().unwrap()));
                        let hi = _mm256_sub_ps(high, load(b.try_into().unwrap()));
                        // Upstream fuses the upper half onto the squares of the lower.
                        _mm256_fmadd_ps(hi, hi, _mm256_mul_ps(lo, lo))
                    };
                    store(out, fold(rows.as_chunks().0, square));
                }
            }
            _ => unreachable!("8 or 16 floats"),
        }
    }

    /// Sums of eight squares each, of eight centroids, in centroid order.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn fold<const D: usize>(rows: &[[f32; D]], square: impl Fn(&[f32; D]) -> __m256) -> __m256 {
        // [four sums of a | four sums of b], of lanes i and i + 4.
        let four = |a: usize, b: usize| {
            let (a, b) = (square(&rows[a]), square(&rows[b]));
            let apart = _mm256_blend_ps::<0xf0>(a, b);
            _mm256_add_ps(apart, _mm256_permute2f128_ps::<0x21>(a, b))
        };
        // Two sums each of a, b | a, b.
        let two = |a: __m256, b: __m256| {
            let apart = _mm256_blend_ps::<0xcc>(a, b);
            let (a, b) = (_mm256_castps_pd(a), _mm256_castps_pd(b));
            _mm256_add_ps(apart, _mm256_castpd_ps(_mm256_shuffle_pd::<0b0101>(a, b)))
        };
        let (a, b) = (two(four(0, 4), four(1, 5)), two(four(2, 6), four(3, 7)));
        let even = _mm256_shuffle_ps::<0x88>(a, b);
        _mm256_add_ps(even, _mm256_shuffle_ps::<0xdd>(a, b))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn load(floats: &[f32; 8]) -> __m256 {
        // SAFETY: the array covers 32 bytes.
        unsafe { _mm256_loadu_ps(floats.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn store(out: &mut [f32; 8], sums: __m256) {
        // SAFETY: the array covers 32 bytes.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sums) }
    }
}
