//! pq-l2: the scan by hardware gathers (AVX2), in place of the byte planes.
//!
//! `vgatherdps` fetches eight entries in one instruction and needs neither planes nor VBMI, and
//! the sums of eight rows stay in a register over all sub-vectors. Expected to pay where building
//! planes is dear, at few rows. The order of additions is unchanged.

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
    #[cfg(target_arch = "x86_64")]
    gather::scan(tables, codes, n, out);
    #[cfg(not(target_arch = "x86_64"))]
    by_four(tables, codes, n, out);
}

#[cfg(not(target_arch = "x86_64"))]
/// Four sub-vectors for one read and write of a row's sum.
fn by_four(tables: &[[f32; CENTROIDS]], codes: &[u8], n: usize, out: &mut [f32]) {
    let m = tables.len();
    let columns = |first: usize, i: usize| &codes[(first + i) * n..][..n];
    let mut first = 0;
    while first + 4 <= m {
        let t: &[[f32; CENTROIDS]; 4] = tables[first..first + 4].try_into().unwrap();
        let (c0, c1) = (columns(first, 0), columns(first, 1));
        let (c2, c3) = (columns(first, 2), columns(first, 3));
        for ((((sum, &a), &b), &c), &d) in out.iter_mut().zip(c0).zip(c1).zip(c2).zip(c3) {
            // Left to right: the order of the additions is part of the result.
            *sum = *sum + t[0][a as usize] + t[1][b as usize] + t[2][c as usize] + t[3][d as usize];
        }
        first += 4;
    }
    for (i, t) in tables.iter().enumerate().skip(first) {
        for (sum, &code) in out.iter_mut().zip(columns(i, 0)) {
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
        #[cfg(target_arch = "x86_64")]
        match dsub {
            8 => tree::sub_vector_8(key.try_into().unwrap(), centroids, distances),
            16 => tree::sub_vector_16(key.try_into().unwrap(), centroids, distances),
            _ => l2_distance_batch_into(key, centroids, dsub, distances),
        }
        #[cfg(not(target_arch = "x86_64"))]
        l2_distance_batch_into(key, centroids, dsub, distances);
    }
}

#[cfg(target_arch = "x86_64")]
mod gather {
    use super::CENTROIDS;
    use std::arch::x86_64::*;

    /// Eight rows at a time, all sub-vectors before the next eight: the sums never leave a register.
    pub fn scan(tables: &[[f32; CENTROIDS]], codes: &[u8], n: usize, out: &mut [f32]) {
        let (groups, rest) = out.as_chunks_mut::<8>();
        for (g, sums) in groups.iter_mut().enumerate() {
            // SAFETY: AVX2 is in every build of this crate; a code indexes 256 entries.
            unsafe {
                let mut sum = _mm256_setzero_ps();
                for (i, table) in tables.iter().enumerate() {
                    let codes = &codes[i * n + 8 * g..][..8];
                    let at = _mm256_cvtepu8_epi32(_mm_loadl_epi64(codes.as_ptr().cast()));
                    sum = _mm256_add_ps(sum, _mm256_i32gather_ps::<4>(table.as_ptr(), at));
                }
                _mm256_storeu_ps(sums.as_mut_ptr(), sum);
            }
        }
        let done = 8 * groups.len();
        for (i, table) in tables.iter().enumerate() {
            for (sum, &code) in rest.iter_mut().zip(&codes[i * n + done..]) {
                *sum += table[code as usize];
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod tree {
    use std::arch::x86_64::*;

    /// Floats at `p` in the low half, at `q` in the high half.
    #[inline(always)]
    fn pair(p: &[f32; 4], q: &[f32; 4]) -> __m256 {
        // SAFETY: both references cover 16 bytes; AVX is in every build of this crate.
        unsafe { _mm256_loadu2_m128(q.as_ptr(), p.as_ptr()) }
    }

    /// Eight sums in centroid order from `s[j]` = [four partial sums of j | of j + 4].
    #[inline(always)]
    fn fold(s: [__m256; 4]) -> __m256 {
        // SAFETY: register arithmetic only; AVX is in every build of this crate.
        unsafe {
            let d = s.map(|v| _mm256_castps_pd(v));
            let half = |lo: __m256d, hi: __m256d| {
                let low = _mm256_castpd_ps(_mm256_unpacklo_pd(lo, hi));
                let high = _mm256_castpd_ps(_mm256_unpackhi_pd(lo, hi));
                _mm256_add_ps(low, high)
            };
            let (a, b) = (half(d[0], d[1]), half(d[2], d[3]));
            _mm256_add_ps(
                _mm256_shuffle_ps::<0x88>(a, b),
                _mm256_shuffle_ps::<0xdd>(a, b),
            )
        }
    }

    /// Squared differences of dimensions `i..i + 4`, of centroid `c` and of `c + 4`.
    #[inline(always)]
    fn diff(key: &[__m256], y: &[&[f32]; 8], j: usize, i: usize) -> __m256 {
        let at = |c: usize| y[c][i..i + 4].try_into().unwrap();
        // SAFETY: as above.
        unsafe { _mm256_sub_ps(key[i / 4], pair(at(j), at(j + 4))) }
    }

    #[inline(always)]
    fn twice(key: &[f32], i: usize) -> __m256 {
        let four: &[f32; 4] = key[4 * i..4 * i + 4].try_into().unwrap();
        pair(four, four)
    }

    pub fn sub_vector_8(key: &[f32; 8], centroids: &[f32], out: &mut [f32]) {
        let key = [twice(key, 0), twice(key, 1)];
        for (rows, out) in centroids
            .as_chunks::<64>()
            .0
            .iter()
            .zip(out.as_chunks_mut::<8>().0)
        {
            let y: [&[f32]; 8] = std::array::from_fn(|c| &rows[8 * c..8 * c + 8]);
            let s = std::array::from_fn(|j| {
                let (lo, hi) = (diff(&key, &y, j, 0), diff(&key, &y, j, 4));
                // SAFETY: as above. mul, then add: upstream uses no FMA at this length.
                unsafe { _mm256_add_ps(_mm256_mul_ps(lo, lo), _mm256_mul_ps(hi, hi)) }
            });
            // SAFETY: `out` covers 32 bytes.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), fold(s)) };
        }
    }

    pub fn sub_vector_16(key: &[f32; 16], centroids: &[f32], out: &mut [f32]) {
        let key = [twice(key, 0), twice(key, 1), twice(key, 2), twice(key, 3)];
        for (rows, out) in centroids
            .as_chunks::<128>()
            .0
            .iter()
            .zip(out.as_chunks_mut::<8>().0)
        {
            let y: [&[f32]; 8] = std::array::from_fn(|c| &rows[16 * c..16 * c + 16]);
            let s = std::array::from_fn(|j| {
                let square = |i: usize| {
                    let (lo, hi) = (diff(&key, &y, j, i), diff(&key, &y, j, i + 8));
                    // SAFETY: FMA is in every build of this crate. Upstream fuses the upper half.
                    unsafe { _mm256_fmadd_ps(hi, hi, _mm256_mul_ps(lo, lo)) }
                };
                // SAFETY: as above.
                unsafe { _mm256_add_ps(square(0), square(4)) }
            });
            // SAFETY: `out` covers 32 bytes.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), fold(s)) };
        }
    }
}
